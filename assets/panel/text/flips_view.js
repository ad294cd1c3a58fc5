// The same text with other settings: sliders, and a mark at each token that they would have changed.
//
// The first is certain: up to there nothing differs. Later ones are what would have come there if all
// before had stayed, so they are drawn as the guesses that they are.

import { setHidden, setText } from "../gradio/dom.js";
import { labelOf } from "./token_label.js";

const OFF = { top_k: 0, top_p: 1 }; // what a slider says where it does nothing
const NAMES = { temperature: "temperature", top_k: "top-k", top_p: "top-p" };
const PARTS = { temperature: "fliptemperature", top_k: "flipk", top_p: "flipp" };

export class FlipsView {
  constructor(parts, runs, flow) {
    this.parts = parts;
    this.runs = runs;
    this.flow = flow;
    this.marks = []; // nodes and spans that are marked
    this.shown = null; // the answer that is marked
    this.options = null; // what the sliders say; null while it is closed
    parts.flipopen.addEventListener("click", () => (this.options ? this.close() : this.open()));
    parts.flipclose.addEventListener("click", () => {
      this.close();
      parts.flipopen.focus();
    });
    parts.flipback.addEventListener("click", () => this.open());
    for (const [name, part] of Object.entries(PARTS))
      parts[part].addEventListener("input", () => {
        this.options = { ...this.options, [name]: Number(parts[part].value) };
        this.show();
      });
    parts.flips.addEventListener(
      "keydown",
      ({ key }) => key === "Escape" && parts.flipclose.click(),
    );
  }

  /** Only a text of the reader's own, once it is written. */
  get able() {
    const { run, running, inspected } = this.runs;
    const { status } = run ?? {};
    return inspected.able && Boolean(status?.sampling) && !running && status.n > status.prompt;
  }

  open() {
    this.options = { ...this.runs.run.status.sampling };
    for (const [name, part] of Object.entries(PARTS)) this.parts[part].value = this.options[name];
    this.show();
  }

  close() {
    this.options = null;
    this.unmark();
    this.show();
  }

  /** Another text: the sliders belonged to the one before. */
  leave() {
    if (this.options) this.close();
  }

  show() {
    const { parts, options } = this;
    if (options && !this.able) return this.close();
    setHidden(parts.flipopen, !this.able);
    setHidden(parts.flips, options === null);
    parts.flipopen.setAttribute("aria-expanded", String(options !== null));
    if (options === null) return;
    for (const [name, part] of Object.entries(PARTS)) {
      const words = options[name] === OFF[name] ? "off" : short(options[name]);
      setText(parts[`${part}is`], words);
      parts[part].setAttribute("aria-valuetext", words);
    }
    const { inspected, run } = this.runs;
    const found = inspected.answerTo({ want: "flips", n: run.tokens.ready, ...options });
    if (!found) {
      const pending = this.shown ? "" : "Reading the text …";
      if (inspected.failed || pending) setText(parts.flipwords, inspected.failed || pending);
      return;
    }
    this.mark(found);
    setText(parts.flipwords, this.words(found));
  }

  words({ flips, fixed }) {
    const { run } = this.runs;
    const { sampling } = run.status;
    const changed = Object.keys(NAMES).filter((name) => this.options[name] !== sampling[name]);
    const left = fixed.length
      ? ` ${counted(fixed.length, "token")} that ${fixed.length === 1 ? "was" : "were"} put there or drawn with other settings ${fixed.length === 1 ? "is" : "are"} left out.`
      : "";
    if (!changed.length) return `As it was written. Move a slider.${left}`;
    const at = changed.map((name) => `${NAMES[name]} ${this.saidOf(name)}`).join(", ");
    if (!flips.length) return `With ${at}: the same text.${left}`;
    const [first, ...later] = flips;
    const word = `“${labelOf(first.instead)}” instead of “${labelOf(run.tokens.items[first.at])}”`;
    const rest = later.length
      ? ` From there on the text would be another; ${counted(later.length, "later token")}, dotted, would differ if all before had stayed.`
      : " From there on the text would be another.";
    return `With ${at}: at token ${first.at} ${word}, for certain.${rest}${left}`;
  }

  saidOf(name) {
    return this.options[name] === OFF[name] ? "off" : short(this.options[name]);
  }

  mark(found) {
    if (found === this.shown) return;
    this.unmark();
    this.shown = found;
    for (const { at, instead, certain } of found.flips) {
      const span = this.flow.spanOf(at);
      if (!span) continue;
      const node = document.createElement("ins");
      node.className = certain ? "instead certain" : "instead";
      node.dataset.from = String(at);
      node.textContent = labelOf(instead).replace(/^·(?=.)/u, "");
      node.title = certain
        ? `Token ${at} would have been ${labelOf(instead)}`
        : `If all before had stayed, token ${at} would have been ${labelOf(instead)}`;
      span.classList.add("flipped", ...(certain ? ["certain"] : []));
      span.after(node);
      this.marks.push(node, span);
    }
  }

  unmark() {
    for (const node of this.marks) {
      if (node.localName === "ins") node.remove();
      else node.classList.remove("flipped", "certain");
    }
    this.marks = [];
    this.shown = null;
  }
}

const short = (number) => String(Number(number.toFixed(3)));

function counted(count, noun) {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}
