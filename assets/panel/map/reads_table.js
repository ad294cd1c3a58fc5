// "Reads from" as a table with bars: the strongest keys of the selected row, in numbers.

import { barOf, setHidden, setText } from "../gradio/dom.js";
import { wholePercent } from "../gradio/formats.js";
import { keptOf, readersOf, strongest } from "./reading.js";
import { labelOf, nameOf, placeOf, quotedOf } from "../text/token_label.js";

const ENTRIES = 20;
const FEW = 8; // on a phone, until all are asked for
const READERS = 2;

export class ReadsTable {
  /** @param {Parts} parts */
  constructor(parts) {
    this.parts = parts;
    this.count = 0; // entries of the row shown
    this.lines = Array.from({ length: ENTRIES }, () => this.line());
    parts.longer.addEventListener("click", () => {
      const long = parts.reads.classList.toggle("long");
      parts.longer.setAttribute("aria-expanded", String(long));
      this.nameLonger(long);
    });
  }

  /** @param {boolean} long */
  nameLonger(long) {
    setText(this.parts.longer, long ? `show ${FEW}` : `show all ${this.count}`);
  }

  line() {
    const line = document.createElement("tr");
    const token = document.createElement("th");
    token.scope = "row";
    const label = document.createElement("bdi");
    const index = document.createElement("span");
    index.className = "index";
    const both = document.createElement("div"); // a cell of a table cannot cut one of two
    both.className = "token-place";
    both.append(label, index);
    token.append(both);
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

  /**
   * view: {tokens, query, row, shown, split, rowOf, count}
   * @param {any} view
   */
  show(view) {
    const { tokens, query, row, shown, split } = view;
    setText(this.parts.caption, query < 0 ? "Reads from" : quotedOf(tokens, query));
    setText(this.parts.place, query < 0 ? "" : ` ${placeOf(tokens, query)}`);
    setText(this.parts.verb, query < 0 ? "" : " reads from");
    const entries = shown
      ? strongest(shown, ENTRIES, split ? 1 : 0).filter(({ weight }) => weight > 0)
      : [];
    for (const [k, line] of this.lines.entries()) this.fill(line, entries[k], entries[0], tokens);
    setHidden(this.parts.longer, entries.length <= FEW);
    this.count = entries.length;
    this.nameLonger(this.parts.reads.classList.contains("long"));
    setText(this.parts.others, shown ? othersOf(shown, entries, split ? 1 : 0) : "");
    const hasShare = row && split && query > 0;
    setHidden(this.parts.sinkline, !hasShare);
    setText(this.parts.share, hasShare ? shareOf(row) : "");
    setText(this.parts.readers, readersText(view));
  }

  /** @param {any} given @param {Entry} entry @param {Entry} first @param {Token[]} tokens */
  fill({ line, label, index, bar, value }, entry, first, tokens) {
    if (line.ariaHidden !== String(!entry)) line.ariaHidden = String(!entry);
    setText(label, entry ? labelOf(tokens[entry.index]) : "");
    setText(index, entry ? ` ${entry.index}` : "");
    setText(value, entry ? wholePercent(entry.weight) : "");
    bar.style.width = entry ? barOf(entry.weight, first.weight) : "0";
  }
}

// What is not in the list, where there is any.
/** @param {Weights} shown @param {Entry[]} entries @param {number} from */
function othersOf(shown, entries, from) {
  const count = shown.length - from - entries.length;
  if (entries.length < ENTRIES || count <= 0) return "";
  const listed = entries.reduce((sum, { weight }) => sum + weight, 0);
  const share = wholePercent(
    Math.max(1e-9, shown.slice(from).reduce((sum, weight) => sum + weight, 0) - listed),
  );
  return count === 1 ? `1 more has ${share}` : `${count} more share ${share}`;
}

/** @param {Weights} row */
function shareOf(row) {
  const kept = keptOf(row);
  return (
    `${wholePercent(row[0])} goes to the first token, shown separately. ` +
    `The bars split the remaining ${wholePercent(kept)}.`
  );
}

/** @param {any} given */
function readersText({ tokens, query, rowOf, count }) {
  if (query < 0) return "";
  const readers = readersOf(query, count, rowOf, READERS).filter(({ weight }) => weight > 0);
  if (readers.length === 0) return "No later token attends to it yet.";
  const words = readers.map(
    ({ index, weight }) => `${nameOf(tokens, index)} ${wholePercent(weight)}`,
  );
  return `Read most by ${words.join(", ")}.`;
}
