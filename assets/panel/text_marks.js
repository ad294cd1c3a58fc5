// Marks in the text: the selected token outlined, what it reads tinted, who reads it underlined.

import { readersOf, strongest } from "./reading.js";
import { weightOf } from "./wire.js";

const MOST = 16;
const LEAST = 0.01; // fainter weights are not worth a tint

export class TextMarks {
  constructor(flow) {
    this.flow = flow;
    this.marked = new Map(); // span -> strength it shows
  }

  // selection: {query, key}; row: the query's bytes or null; rowOf and count: the drawable rows
  show({ query, key }, row, rowOf, count) {
    const next = new Map();
    const note = (i, name, byte) => {
      const span = this.flow.spanOf(i);
      if (!span) return;
      const marks = next.get(span) ?? {};
      marks[name] = Math.max(marks[name] ?? 0, byte);
      next.set(span, marks);
    };
    for (const { index, byte } of visible(row ? strongest(row, MOST) : [])) note(index, "reads", byte);
    const readers = query >= 0 ? readersOf(query, count, rowOf, MOST) : [];
    for (const { index, byte } of visible(readers)) note(index, "read-by", byte);
    if (query >= 0) note(query, "selected", 255);
    if (key !== null) note(key, "key", 255);
    this.swap(next);
  }

  clear() {
    this.swap(new Map());
  }

  swap(next) {
    for (const [span] of this.marked) if (!next.has(span)) this.dress(span, {});
    for (const [span, marks] of next) this.dress(span, marks);
    this.marked = next;
  }

  dress(span, marks) {
    for (const name of ["reads", "read-by", "selected", "key"]) {
      span.classList.toggle(name, name in marks);
    }
    const strength = (byte) => (byte === undefined ? "" : (byte / 255).toFixed(3));
    span.style.setProperty("--reads", strength(marks.reads));
    span.style.setProperty("--read-by", strength(marks["read-by"]));
  }
}

function visible(entries) {
  return entries.filter(({ byte }) => weightOf(byte) >= LEAST);
}
