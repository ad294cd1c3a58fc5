// The surprise strip: a text in pieces, a row of bits per size under each; and what comes next.

import { onColumns, textsOf } from "./comparison.js";
import { linkLabels, partsOf, setText } from "../gradio/dom.js";
import { clamp } from "../map/geometry.js";
import { NextTokens } from "../inspector/next_tokens.js";
import { Strip } from "./strip.js";

const PROMPT = "prompt";
const PASTED = "pasted";

/**
 * @param {HTMLElement} element
 * @param {Props} props
 * @param {Watch} watch
 * @param {Server} _server
 * @param {Trigger} trigger
 */
export function mount(element, props, watch, _server, trigger) {
  linkLabels(element);
  const view = new SurpriseView(partsOf(element), trigger);
  watch("value", () => view.take(props.value));
  view.take(props.value);
  return view;
}

export class SurpriseView {
  /** @param {Parts} parts @param {Trigger} trigger */
  constructor(parts, trigger) {
    this.parts = parts;
    this.trigger = trigger;
    this.strip = new Strip(parts);
    this.next = new NextTokens(parts);
    this.cursor = 0;
    this.offer();
    onColumns(() => this.offer());
    this.listen();
  }

  // value: {text, rows, pieces, note}, {note}, {next: [...]} or {next_note}
  /** @param {any} value */
  take(value) {
    if (!value) return;
    if (value.note !== undefined) setText(this.parts.note, value.note);
    if (value.next_note !== undefined) setText(this.parts.next_note, value.next_note);
    if (value.rows) {
      this.strip.show(value);
      this.parts.next.hidden = true;
      setText(this.parts.readout, "");
      this.move(this.strip.pieces.length);
    }
    if (value.next) {
      setText(this.parts.next_note, "");
      this.next.show(value.next, this.strip.pieces[this.cursor]?.[0]);
    }
  }

  // The texts there are to score: a list that changes only when they do.
  offer() {
    const { which } = this.parts;
    const wanted = [
      [PROMPT, "Prompt"],
      ...textsOf().map(({ title }, at) => [String(at), `${title}'s text`]),
      [PASTED, "Your own"],
    ];
    const now = [...which.options].map((o) => [o.value, o.text]);
    if (JSON.stringify(now) === JSON.stringify(wanted)) return;
    const chosen = which.value;
    which.replaceChildren(...wanted.map(([value, text]) => new Option(text, value)));
    if (wanted.some(([value]) => value === chosen)) which.value = chosen;
  }

  listen() {
    const { which, own, pasted, score, strip } = this.parts;
    which.addEventListener("change", () => {
      own.hidden = which.value !== PASTED;
    });
    score.addEventListener("click", () => {
      setText(this.parts.note, "Scoring.");
      /** @type {Record<string, string | null>} */
      const texts = { [PROMPT]: null, [PASTED]: pasted.value };
      const text = which.value in texts ? texts[which.value] : textsOf()[Number(which.value)]?.text;
      this.trigger("score", { text });
    });
    strip.addEventListener("click", (event) => {
      const piece = pieceOf(event);
      if (piece) this.move(Number(piece.dataset.at));
    });
    strip.addEventListener("pointerover", (event) => {
      const piece = pieceOf(event);
      setText(
        this.parts.readout,
        this.strip.sentence(piece ? Number(piece.dataset.at) : this.cursor),
      );
    });
    strip.addEventListener("keydown", (event) => this.key(event));
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const last = this.strip.pieces.length;
    const to = {
      ArrowLeft: this.cursor - 1,
      ArrowRight: this.cursor + 1,
      Home: 0,
      End: last,
    }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    this.move(clamp(to, 0, last));
  }

  // The cursor stands before a piece, or at the end: there the sizes are asked what comes next.
  /** @param {number} at */
  move(at) {
    const { strip, parts } = this;
    if (!strip.sizes.length) return;
    this.cursor = at;
    strip.mark(at);
    setText(parts.readout, strip.sentence(at));
    const text = strip.before(at);
    parts.next.hidden = false;
    setText(parts.place, at === strip.pieces.length ? "at the end of the text" : strip.nameOf(at));
    this.trigger("expect", { text, sizes: strip.sizes });
  }
}

/** @param {Event} event @returns {HTMLElement | null} */
function pieceOf(event) {
  return /** @type {Element} */ (event.target).closest(".piece");
}
