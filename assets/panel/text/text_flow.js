// The text as one span per piece, appended as tokens arrive and never drawn again.
// Only fragments that a later token completes are replaced.

import { isUnruly, labelOf, piecesOf } from "./token_label.js";

export class TextFlow {
  /** @param {HTMLElement} box @param {HTMLElement} end */
  constructor(box, end) {
    this.box = box;
    this.end = end; // the caret: everything is put before it
    this.clear();
  }

  clear() {
    for (const node of [...this.box.childNodes])
      if (!(node instanceof HTMLElement && node.dataset.part)) node.remove();
    /** @type {HTMLElement[]} */
    this.spans = []; // token index -> span
    /** @type {number} */
    this.stable = 0;
  }

  // tokens: all there are without a gap; the first `prompt` of them are the reader's. Whether spans
  // that stood there gave way to others, without their marks.
  /** @param {Token[]} tokens @param {number} prompt */
  show(tokens, prompt) {
    if (this.stable >= tokens.length) return false;
    const open = new Set(this.spans.splice(this.stable));
    for (const span of open) span.remove();
    const { pieces, stable } = piecesOf(tokens.slice(this.stable), this.stable);
    const added = document.createDocumentFragment();
    for (const piece of pieces) this.append(added, piece, piece.from < prompt);
    this.box.insertBefore(added, this.end);
    this.stable = stable;
    return open.size > 0;
  }

  /** @param {ParentNode} parent @param {Piece} given @param {boolean} isPrompt */
  append(parent, { from, to, kind, text }, isPrompt) {
    const span = document.createElement("span");
    span.className = `token${isPrompt ? " prompt" : ""}`;
    span.dataset.from = String(from);
    let shown = text;
    if (kind === "text" && isUnruly(text)) shown = labelOf(text);
    if (kind !== "text" || shown !== text) span.classList.add("chip");
    else if (text.trim() === "") span.classList.add(text.includes("\n") ? "newline" : "blank");
    else if (to === from + 1 && text.startsWith(" ")) {
      parent.append(" "); // outside, so that an outline hugs the word
      shown = text.slice(1);
    }
    if (to > from + 1) span.title = `Tokens ${from} to ${to - 1} make this together`;
    span.textContent = shown;
    parent.append(span);
    for (let i = from; i < to; i++) this.spans[i] = span;
  }

  /** @param {number} i */
  spanOf(i) {
    return this.spans[i];
  }

  // Prompt or generated may become known after the token itself.
  /** @param {number} prompt */
  markPrompt(prompt) {
    this.spans.forEach((span, i) => {
      span.classList.toggle("prompt", i < prompt);
    });
  }
}
