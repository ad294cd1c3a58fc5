// The strip itself: pieces that are whole tokens for every size, their bits as numbers and tints.

import { labelOf } from "../text/token_label.js";
import { setText } from "../gradio/dom.js";

const MOST = 16; // bits that get the full tint; rarer tokens look alike
const SHOWN = 600; // pieces; what follows is in the sums

export class Strip {
  constructor(parts) {
    this.parts = parts;
    this.rows = [];
    this.pieces = [];
    this.nodes = [];
    this.sizes = [];
    new ResizeObserver(() => this.nameLines()).observe(parts.pieces);
  }

  show({ rows, pieces }) {
    const { strip, sums } = this.parts;
    this.rows = rows.filter((row) => !row.error);
    this.sizes = this.rows.map(({ size }) => size);
    this.pieces = pieces;
    this.nodes = pieces.slice(0, SHOWN).map((piece, at) => this.pieceNode(piece, at));
    if (pieces.length) this.nodes.push(this.endNode());
    strip.hidden = pieces.length === 0;
    this.parts.pieces.replaceChildren(...this.nodes);
    this.nameLines();
    sums.replaceChildren(...rows.map((row) => sumNode(row)), ...this.gainNodes());
    if (pieces.length > SHOWN)
      sums.append(line(`The first ${SHOWN} pieces are drawn; the sums count all.`));
  }

  // Whose numbers a row holds, said anew in every line that the pieces take.
  nameLines() {
    const { gutter, pieces } = this.parts;
    gutter.replaceChildren(this.names());
    const line = gutter.firstChild.offsetHeight + parseFloat(getComputedStyle(gutter).rowGap);
    for (let more = Math.round(pieces.offsetHeight / line) - 1; more > 0; more -= 1)
      gutter.append(this.names());
  }

  names() {
    const node = document.createElement("span");
    node.className = "names";
    node.append(cell("text", ""), ...this.rows.map(({ title }) => cell("name", title)));
    if (this.larger) node.append(cell("name of-gain", "gain"));
    return node;
  }

  // Where the largest of the sizes gains on the smallest: bits saved.
  get larger() {
    if (this.rows.length < 2) return null;
    const order = this.rows
      .map((row, at) => ({ at, row }))
      .sort((a, b) => a.row.parameters - b.row.parameters);
    const [small, large] = [order[0], order.at(-1)];
    return small.row.parameters === large.row.parameters ? null : { small, large };
  }

  gainOf(bits) {
    const { small, large } = this.larger;
    return total(bits[small.at]) - total(bits[large.at]);
  }

  gainNodes() {
    if (!this.larger || !this.pieces.length) return [];
    const { small, large } = this.larger;
    const gains = this.pieces.map(([text, bits], at) => ({ at, text, gain: this.gainOf(bits) }));
    const best = [...gains]
      .sort((a, b) => b.gain - a.gain)
      .slice(0, 3)
      .filter(({ gain }) => gain > 0.05);
    const saved = small.row.bits - large.row.bits;
    const words = best.map(
      ({ text, gain }) => `“${text.trim() || labelOf(text)}” (${gain.toFixed(1)})`,
    );
    const most = words.length
      ? `, ${saved > 0 ? "mainly" : "but fewer"} on ${words.join(", ")}`
      : "";
    const bits = Math.abs(saved).toFixed(1);
    const sum =
      bits === "0.0" ? "as many bits as" : `${bits} ${saved > 0 ? "fewer" : "more"} bits than`;
    return [line(`${large.row.title} needs ${sum} ${small.row.title}${most}.`)];
  }

  pieceNode([text, bits], at) {
    const node = document.createElement("span");
    node.className = "piece";
    node.dataset.at = at;
    node.append(cell("text", labelOf(text)), ...bits.map((own) => bitsNode(own)));
    if (this.larger) {
      const gain = this.gainOf(bits);
      const sign = gain > 0.05 ? "+" : gain < -0.05 ? "−" : "";
      node.append(cell(`gain ${sign === "−" ? "worse" : ""}`, sign + Math.abs(gain).toFixed(1)));
    }
    return node;
  }

  endNode() {
    const node = document.createElement("span");
    node.className = "piece end";
    node.dataset.at = String(this.pieces.length);
    node.append(cell("text", "▏?"));
    return node;
  }

  mark(at) {
    this.marked?.classList.remove("cursor");
    this.marked = this.nodes[Math.min(at, this.nodes.length - 1)];
    this.marked?.classList.add("cursor");
  }

  before(at) {
    return this.pieces
      .slice(0, at)
      .map(([text]) => text)
      .join("");
  }

  nameOf(at) {
    return `before “${labelOf(this.pieces[at][0])}”`;
  }

  sentence(at) {
    const piece = this.pieces[at];
    if (!piece) return this.pieces.length ? "The end of the text." : "";
    const each = this.rows.map(({ title }, k) => {
      const own = piece[1][k];
      const tokens = own.length > 1 ? ` in ${own.length} tokens` : "";
      return `${title} ${total(own).toFixed(2)} bits${tokens}`;
    });
    return `“${labelOf(piece[0])}”: ${each.join(", ")}`;
  }
}

function bitsNode(own) {
  const row = document.createElement("span");
  row.className = "row";
  for (const bits of own) {
    const node = cell("bits", bits.toFixed(1));
    node.style.setProperty("--surprise", Math.min(1, bits / MOST).toFixed(3));
    row.append(node);
  }
  return row;
}

function sumNode(row) {
  if (row.error) return line(`${row.title}: ${row.error}`);
  const words = `${row.bits.toFixed(1)} bits over ${row.tokens} tokens, ${row.bytes} bytes`;
  const node = line("");
  const name = document.createElement("strong");
  setText(name, row.title);
  node.append(name, ` ${row.bits_per_byte.toFixed(4)} bits per byte · ${words}`);
  return node;
}

function line(text) {
  const node = document.createElement("p");
  setText(node, text);
  return node;
}

function cell(kind, text) {
  const node = document.createElement("span");
  node.className = kind;
  setText(node, text);
  return node;
}

function total(own) {
  return own.reduce((sum, bits) => sum + bits, 0);
}
