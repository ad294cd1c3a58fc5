// Heads that are switched off: which, what that does to the selected token, and the bar that says so.

import { percent } from "../gradio/formats.js";
import { setHidden, setText } from "../gradio/dom.js";
import { quotedOf } from "../text/token_label.js";

export class HeadsOff {
  constructor(parts, runs) {
    this.parts = parts;
    this.runs = runs;
    parts.switch.addEventListener("click", () => runs.toggleHead(runs.look));
    parts.rewrite.addEventListener("click", () => this.rewrite());
    parts.restore.addEventListener("click", () => this.restore());
    parts.instead.addEventListener("change", () => runs.tell("off"));
    parts.offlist.addEventListener("click", ({ target }) => {
      const button = target.closest("button");
      if (button)
        runs.toggleHead({ layer: Number(button.dataset.layer), head: Number(button.dataset.head) });
    });
  }

  /** What stands in for a head that is off: "zero", or its "mean". */
  get instead() {
    return this.parts.instead.value;
  }

  /** As it is told: [[layer, head], ...] and what stands in, which counts only where heads are off. */
  keyOf(off, instead) {
    return JSON.stringify(off.length ? [off, instead] : []);
  }

  /** The Heads tab. */
  show() {
    const { runs, parts } = this;
    if (!runs.run?.layers) return;
    const { look, off } = runs;
    const isOff = runs.isOff(look);
    setText(parts.headstitle, `Layer ${look.layer + 1}, head ${look.head + 1}`);
    setText(parts.switch, isOff ? "Switch on" : "Switch off");
    parts.switch.setAttribute("aria-pressed", String(isOff));
    setText(
      parts.offhint,
      off.length
        ? "Off now, in the order of layers:"
        : "No head is off. Choose a head in the atlas below; X there switches it off or on.",
    );
    const wanted = JSON.stringify(off);
    if (parts.offlist.dataset.shown === wanted) return;
    parts.offlist.dataset.shown = wanted;
    parts.offlist.replaceChildren(
      ...off.map(([layer, head]) => {
        const item = document.createElement("li");
        const button = document.createElement("button");
        button.type = "button";
        button.className = "plain";
        Object.assign(button.dataset, { layer, head });
        button.textContent = "switch on";
        button.setAttribute("aria-label", `switch on layer ${layer + 1}, head ${head + 1}`);
        item.append(`layer ${layer + 1}, head ${head + 1} `, button);
        return item;
      }),
    );
  }

  /** The bar stands where heads are switched: beside the map while its tab is open, else over the atlas. */
  place(open) {
    const { offbar, offhint, atlastitle } = this.parts;
    if (open) offhint.before(offbar);
    else atlastitle.parentElement.after(offbar);
  }

  /** There only while heads are off, or were when the text was written. */
  bar() {
    const { runs, parts } = this;
    const { run, off } = runs;
    const { off: made = [], instead: stood = "zero" } = run?.status ?? {};
    if (this.seen !== run) {
      this.seen = run;
      if (made.length) parts.instead.value = stood;
    }
    const { instead } = this;
    const changed = this.keyOf(off, instead) !== this.keyOf(made, stood);
    setHidden(parts.offbar, !run?.status || (!off.length && !changed));
    if (parts.offbar.hidden) return;
    const mean = off.length && instead === "mean" ? " (mean instead)" : "";
    const count = `${off.length} ${off.length === 1 ? "head" : "heads"} off${mean}`;
    setText(parts.offcount, changed ? count : `${count} in this text`);
    const at = runs.pick?.query ?? run.tokens.ready - 1;
    const found =
      changed && at > 0 && !runs.running ? runs.inspected.withoutAt(at, off, instead) : null;
    const effect = found
      ? `${quotedOf(run.tokens.items, at)} ${percent(found.shares[0])} → ${percent(found.shares[1])}`
      : "";
    setText(
      parts.offeffect,
      effect || (changed && !runs.running ? runs.inspected.failed || "…" : ""),
    );
    parts.rewrite.setAttribute("aria-disabled", String(!changed || runs.running));
    setHidden(parts.rewrite, !runs.rewrite); // a file has nobody to ask
    setHidden(parts.restore, !runs.rewrite && !changed);
  }

  rewrite() {
    const { runs, parts } = this;
    if (parts.rewrite.getAttribute("aria-disabled") === "true") return;
    const { run, off } = runs;
    runs.rewrite?.({ run: run.id, at: run.status.prompt, token: null, off, instead: this.instead });
  }

  // As the text was written; of one that was written so, back to the one before.
  restore() {
    const { runs } = this;
    const { off: made = [], instead: stood = "zero" } = runs.run?.status ?? {};
    if (this.keyOf(runs.off, this.instead) !== this.keyOf(made, stood)) {
      this.parts.instead.value = stood;
      return runs.switchOff(made);
    }
    const { branches } = runs;
    const { of } = branches.texts.get(branches.id) ?? {};
    if (runs.revisit && branches.texts.has(of)) runs.revisit(of);
    else runs.switchOff([]);
  }
}
