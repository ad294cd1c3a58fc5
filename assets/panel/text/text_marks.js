// Marks in the text: the selected token outlined, what it reads tinted, who reads it underlined.

import { readersOf, strongest } from "../map/reading.js";

const MOST = 16;
const LEAST = 0.01; // fainter weights are not worth a tint

export class TextMarks {
  /** @param {TextFlow} flow */
  constructor(flow) {
    this.flow = flow;
    this.marked = new Map(); // span -> strength it shows
  }

  /**
   * selection: {query, key}; row: the query's weights as drawn, or null; rowOf, count: all rows
   * @param {Selected} given
   * @param {Weights} row
   * @param {RowOf} rowOf
   * @param {number} count
   */
  show({ query, key }, row, rowOf, count) {
    const next = new Map();
    /** @param {number} i @param {string} name @param {number} weight */
    const note = (i, name, weight) => {
      const span = this.flow.spanOf(i);
      if (!span) return;
      const marks = next.get(span) ?? {};
      marks[name] = Math.max(marks[name] ?? 0, weight);
      next.set(span, marks);
    };
    for (const { index, weight } of visible(row ? strongest(row, MOST) : []))
      note(index, "reads", weight);
    const readers = query >= 0 ? readersOf(query, count, rowOf, MOST) : [];
    for (const { index, weight } of visible(readers)) note(index, "read-by", weight);
    if (query >= 0) note(query, "selected", 1);
    if (key !== null) note(key, "key", 1);
    this.swap(next);
  }

  clear() {
    this.swap(new Map());
  }

  /** @param {any} next */
  swap(next) {
    for (const [span] of this.marked) if (!next.has(span)) this.dress(span, {});
    for (const [span, marks] of next) this.dress(span, marks);
    this.marked = next;
  }

  /** @param {HTMLElement} span @param {any} marks */
  dress(span, marks) {
    for (const name of ["reads", "read-by", "selected", "key"]) {
      span.classList.toggle(name, name in marks);
    }
    /** @param {number} weight */
    const strength = (weight) => (weight === undefined ? "" : Math.sqrt(weight).toFixed(3));
    span.style.setProperty("--reads", strength(marks.reads));
    span.style.setProperty("--read-by", strength(marks["read-by"]));
  }
}

/** @param {Entry[]} entries */
function visible(entries) {
  return entries.filter(({ weight }) => weight >= LEAST);
}
