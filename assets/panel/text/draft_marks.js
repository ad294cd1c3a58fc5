// What a draft guessed: kept tokens dotted under, corrected ones with the refused guess before them.

import { setHidden, setText } from "../gradio/dom.js";
import { labelOf } from "./token_label.js";

export class DraftMarks {
  /** @param {TextFlow} flow @param {Parts} parts */
  constructor(flow, parts) {
    this.flow = flow;
    this.parts = parts;
    this.clear();
    const { marks, text } = parts;
    marks.addEventListener("change", () => text.classList.toggle("unmarked", !marks.checked));
  }

  clear() {
    /** @type {number} */
    this.marked = 0; // tokens looked at so far
  }

  // guesses: an Arrivals of null, true or a token; draft: {title, right, wrong, speed_up} or null
  /** @param {any} guesses @param {any} draft */
  show(guesses, draft) {
    const settled = Math.min(this.flow.stable, guesses.ready);
    for (; this.marked < settled; this.marked++) this.mark(this.marked, guesses.at(this.marked));
    setHidden(this.parts.draft, draft === null);
    if (draft !== null) this.count(draft);
  }

  /** @param {number} i @param {any} guess */
  mark(i, guess) {
    if (guess === null || guess === undefined) return;
    const span = this.flow.spanOf(i);
    if (guess === true) return span.classList.add("kept");
    span.classList.add("corrected");
    const refused = document.createElement("del");
    refused.className = "refused";
    refused.textContent = labelOf(guess).replace(/^·(?=.)/u, "");
    refused.title = `The draft guessed ${labelOf(guess)}`;
    span.before(refused);
  }

  /** @param {any} given */
  count({ title, right, wrong, speed_up: speedUp }) {
    const { parts } = this;
    setText(parts.drafter, title);
    setText(parts.right, String(right));
    setText(parts.judged, String(right + wrong));
    setText(parts.gain, gainOf(speedUp));
  }
}

/** @param {number} speedUp */
export function gainOf(speedUp) {
  if (speedUp === null || speedUp === undefined) return "";
  const compared = speedUp < 0.995 ? "slower than" : speedUp < 1.005 ? "as fast as" : "faster than";
  return `${speedUp.toFixed(2)}×: ${compared} without drafting`;
}
