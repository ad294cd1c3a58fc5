// original › “castle” at 17: how the text shown was made of the first one, and the way back.

import { setHidden } from "./dom.js";
import { labelOf } from "./token_label.js";

export class Breadcrumb {
  constructor(parts, runs) {
    this.parts = parts;
    this.runs = runs;
    this.shown = "";
    const go = (id) => id !== null && !runs.running && runs.revisit?.(id);
    parts.undo.addEventListener("click", () => go(runs.branches.before));
    parts.redo.addEventListener("click", () => go(runs.branches.after));
    parts.path.addEventListener("click", ({ target }) => {
      const button = target.closest("button");
      if (button) go(button.value);
    });
    document.addEventListener("keydown", (event) => this.key(event, go));
  }

  // As everywhere, but not where a text is typed, which has an undo of its own.
  key(event, go) {
    if (event.key.toLowerCase() !== "z" || !(event.ctrlKey || event.metaKey) || event.altKey)
      return;
    if (event.target.closest?.("input, textarea, [contenteditable]")) return;
    const { branches } = this.runs;
    const id = event.shiftKey ? branches.after : branches.before;
    if (id === null) return;
    event.preventDefault();
    go(id);
  }

  show() {
    const { runs, parts } = this;
    const { branches } = runs;
    const path = branches.path();
    setHidden(parts.branches, branches.shown.length < 2);
    parts.undo.setAttribute("aria-disabled", String(branches.before === null || runs.running));
    parts.redo.setAttribute("aria-disabled", String(branches.after === null || runs.running));
    const words = path.map((id) => this.nameOf(id));
    if (this.shown === words.join()) return;
    this.shown = words.join();
    parts.path.replaceChildren(...path.map((id, k) => stepOf(id, words[k], k === path.length - 1)));
  }

  nameOf(id) {
    const { branches } = this.runs;
    const { branch, off } = branches.texts.get(id);
    if (!branch) return "original";
    if (branch.token !== null) return `“${labelOf(branch.token)}” at ${branch.at}`;
    const heads =
      off.length === 0
        ? "all heads on"
        : `${off.length} ${off.length === 1 ? "head" : "heads"} off`;
    const from = branches.divergence(id);
    return from < 0 ? heads : `${heads}, differs from ${from}`;
  }
}

function stepOf(id, words, current) {
  const step = document.createElement("li");
  if (current) {
    step.textContent = words;
    step.setAttribute("aria-current", "true");
    return step;
  }
  const button = document.createElement("button");
  button.type = "button";
  button.value = id;
  button.textContent = words;
  step.append(button);
  return step;
}
