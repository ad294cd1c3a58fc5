// "Reads from" as a table with bars: the strongest keys of the selected row, in numbers.

import { setText } from "./dom.js";
import { number, percent, readersOf, strongest } from "./reading.js";
import { labelOf, nameOf } from "./token_label.js";
import { weightOf } from "./wire.js";

const ENTRIES = 8;
const READERS = 2;
const SINK = 0.3; // from this weight on the first token is a place to rest, and told apart

export class ReadsTable {
  constructor(parts) {
    this.parts = parts;
    this.raw = false;
    this.lines = Array.from({ length: ENTRIES }, () => this.line());
    parts.raw.addEventListener("click", () => {
      this.raw = !this.raw;
      parts.raw.setAttribute("aria-pressed", String(this.raw));
      this.show(this.last);
    });
  }

  line() {
    const line = document.createElement("tr");
    const token = document.createElement("th");
    token.scope = "row";
    const label = document.createElement("bdi");
    const index = document.createElement("span");
    index.className = "index";
    token.append(label, index);
    const cell = document.createElement("td");
    const weight = document.createElement("div");
    weight.className = "weight";
    const meter = document.createElement("span");
    meter.className = "meter";
    const bar = document.createElement("span");
    const value = document.createElement("span");
    meter.append(bar);
    weight.append(meter, value);
    cell.append(weight);
    line.append(token, cell);
    this.parts.entries.append(line);
    return { line, label, index, bar, value };
  }

  // view: {tokens, query, row, rowOf, count}
  show(view) {
    this.last = view;
    const { tokens, query, row } = view;
    setText(this.parts.caption, query < 0 ? "Reads from" : `${nameOf(tokens, query)} reads from`);
    const sinks = row !== null && query > 0 && weightOf(row[0]) >= SINK;
    const entries = row ? strongest(row, ENTRIES, sinks && !this.raw ? 1 : 0) : [];
    this.lines.forEach((line, k) => this.fill(line, entries[k], entries[0], tokens));
    this.parts.raw.hidden = !sinks;
    setText(this.parts.share, sinks ? this.shareOf(row) : "");
    setText(this.parts.readers, this.readersText(view));
  }

  fill({ line, label, index, bar, value }, entry, first, tokens) {
    line.setAttribute("aria-hidden", String(!entry));
    setText(label, entry ? labelOf(tokens[entry.index]) : "");
    setText(index, entry ? ` ${entry.index}` : "");
    setText(value, entry ? number(entry.byte) : "");
    const length = entry ? weightOf(entry.byte) / Math.max(weightOf(first.byte), 1e-9) : 0;
    bar.style.width = `${(100 * length).toFixed(1)}%`;
  }

  shareOf(row) {
    const apart = this.raw ? "" : "; told apart";
    return `${percent(row[0])} of this row rests on the first token${apart}.`;
  }

  readersText({ tokens, query, rowOf, count }) {
    if (query < 0) return "";
    const readers = readersOf(query, count, rowOf, READERS).filter(({ byte }) => byte > 0);
    if (readers.length === 0) return "Read by no later token yet.";
    const words = readers.map(({ index, byte }) => `${nameOf(tokens, index)} ${number(byte)}`);
    return `Read most by ${words.join(", ")}`;
  }
}
