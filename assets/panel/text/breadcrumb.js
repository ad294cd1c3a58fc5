// original › “castle” at 17: how the text shown was made of the first one, the way back, and the others.

import { besideEachOther } from "./branching.js";
import { setHidden } from "../gradio/dom.js";

export class Breadcrumb {
  constructor(parts, runs) {
    this.parts = parts;
    this.runs = runs;
    this.shown = "";
    parts.undo.addEventListener("click", () => this.step(-1));
    parts.redo.addEventListener("click", () => this.step(1));
    parts.path.addEventListener("click", ({ target }) => {
      const button = target.closest("button");
      if (button) this.go(button.value);
    });
    parts.every.addEventListener("change", () => this.go(parts.every.value));
    parts.beside.addEventListener("click", () => !runs.running && runs.beside());
    document.addEventListener("keydown", (event) => this.key(event));
  }

  /** To the step before or after the text that is shown; whether there is one. */
  step(by) {
    const { branches } = this.runs;
    const at = branches.at + by;
    if (!this.runs.revisit || !(at in branches.shown)) return false;
    this.go(branches.shown[at], at);
    return true;
  }

  go(key, at = undefined) {
    if (!this.runs.running) this.runs.revisit(key, at);
  }

  // As everywhere, but not where a text is typed, which has an undo of its own.
  key(event) {
    const name = event.key.toLowerCase();
    if (!"zy".includes(name) || !(event.ctrlKey || event.metaKey) || event.altKey) return;
    if (
      event.target.closest?.(
        "input:not([type=checkbox], [type=range]), textarea, [contenteditable]",
      )
    )
      return;
    if (this.step(name === "y" || event.shiftKey ? 1 : -1)) event.preventDefault();
  }

  show() {
    const { runs, parts } = this;
    const { branches, running } = runs;
    setHidden(parts.branches, !runs.revisit || branches.shown.length + branches.texts.size < 3);
    if (parts.branches.hidden) return;
    parts.undo.setAttribute("aria-disabled", String(branches.before === null || running));
    parts.redo.setAttribute("aria-disabled", String(branches.after === null || running));
    const [path, tree] = [branches.path(), branches.tree()];
    const words = tree.map((key) => `${key} ${branches.nameOf(key)}`).join();
    if (this.shown === `${branches.id} ${words}`) return;
    this.shown = `${branches.id} ${words}`;
    const names = path.length > 1 ? path : [];
    parts.path.replaceChildren(...names.map((key) => this.stepOf(key)));
    const ends = besideEachOther(branches);
    setHidden(parts.beside, ends.length < 2);
    setHidden(
      parts.every,
      tree.every((key) => path.includes(key)),
    );
    parts.every.replaceChildren(...tree.map((key) => this.optionOf(key)));
    parts.every.value = branches.id;
  }

  stepOf(key) {
    const { branches } = this.runs;
    const step = document.createElement("li");
    if (key === branches.id) {
      step.textContent = branches.nameOf(key);
      step.setAttribute("aria-current", "true");
      return step;
    }
    const button = document.createElement("button");
    button.type = "button";
    button.value = key;
    button.textContent = branches.nameOf(key);
    step.append(button);
    return step;
  }

  optionOf(key) {
    const { branches } = this.runs;
    const depth = branches.path(key).length - 1;
    return new Option(`${"\u2003".repeat(depth)}${branches.nameOf(key)}`, key);
  }
}
