// "Which heads matter here?": every head switched off once, and what that does to one token.

import { percent } from "../gradio/formats.js";
import { HeadGrid } from "./head_grid.js";
import { setHidden, setText } from "../gradio/dom.js";
import { Question, made } from "./question.js";
import { headName, signed } from "./shares_list.js";
import { quotedOf } from "../text/token_label.js";

const LISTED = 12;
const STANDS_IN = { zero: "nothing", mean: "its mean over the text before" };

export class HeadSweep {
  /** @param {HTMLElement} box @param {(head: {layer: number, head: number}) => void} onOpen */
  constructor(box, runs, onOpen, insteadOf) {
    this.runs = runs;
    this.onOpen = onOpen;
    this.insteadOf = insteadOf; // what stands in for a head that is off
    this.question = new Question(runs);
    this.known = new Map(); // "run place instead" -> result
    this.request = null; // what is measured now
    this.at = -1;
    this.begin = made("button", { type: "button", className: "switch", textContent: "Measure" });
    this.begin.addEventListener("click", () => (this.question.busy ? this.cancel() : this.ask()));
    this.bar = made("progress", { max: 1, value: 0, "aria-label": "Heads measured" });
    this.words = made("p", { className: "fact first", role: "status" });
    this.rows = made("tbody");
    this.grid = new HeadGrid(onOpen);
    this.joint = made("p", { className: "fact" });
    this.control = made("p", { className: "fact" });
    this.table = made(
      "table",
      { className: "listed of-shares" },
      made("caption", { className: "unseen", textContent: "The heads that matter most" }),
      made(
        "thead",
        {},
        made(
          "tr",
          {},
          made("th", { scope: "col", textContent: "Without" }),
          made("th", { scope: "col", className: "figure-column", textContent: "Then" }),
          made("th", { scope: "col", className: "figure-column", textContent: "Bits" }),
        ),
      ),
      this.rows,
    );
    this.found = made("div", {}, this.grid.canvas, this.table, this.joint, this.control);
    box.replaceChildren(
      made("h4", { textContent: "Which heads matter here?" }),
      made("p", { className: "fact" }, this.begin, " ", this.bar),
      this.words,
      this.found,
    );
    this.idle();
  }

  get key() {
    return `${this.runs.run?.id} ${this.at} ${this.insteadOf()}`;
  }

  show(at) {
    const { runs } = this;
    this.at = at;
    const able = at > 0 && at < (runs.run?.tokens.ready ?? 0);
    if (this.question.busy) return; // of the token it was begun for, wherever the pointer is
    const found = this.known.get(this.key);
    setHidden(this.found, !found);
    this.begin.disabled = !able;
    if (found) this.fill(found);
    else setText(this.words, able ? this.offer(at) : "Choose a token that follows another.");
  }

  offer(at) {
    const { run } = this.runs;
    return `Switches each of the ${run.layers * run.heads} heads off once and sees how likely ${quotedOf(run.tokens.items, at)} is then.`;
  }

  async ask() {
    this.request = { want: "effects", at: this.at, instead: this.insteadOf() };
    const { key, request } = this;
    const name = quotedOf(this.runs.run.tokens.items, this.at);
    setText(this.begin, "Cancel");
    setHidden(this.bar, false);
    setHidden(this.found, true);
    const answer = await this.question.ask(request, (done, of) => {
      this.bar.max = Math.max(1, of);
      this.bar.value = done;
      setText(this.words, of ? `${name}: ${done} of ${of} passes` : "Waiting in line …");
    });
    if (!answer) return;
    this.idle();
    if (answer.error) setText(this.words, answer.error);
    else {
      this.known.set(key, answer.result);
      this.show(this.at);
    }
  }

  cancel() {
    this.question.cancel(this.request);
    this.idle();
    this.show(this.at);
  }

  idle() {
    setText(this.begin, "Measure");
    setHidden(this.bar, true);
    this.bar.value = 0;
  }

  fill(found) {
    const { runs } = this;
    const name = quotedOf(runs.run.tokens.items, this.at);
    const instead = this.insteadOf();
    setText(
      this.words,
      `${name} is ${percent(found.share)} likely; without one head, with ${STANDS_IN[instead]} in its place:`,
    );
    const ranked = rankedHeads(found.bits);
    const most = Math.abs(ranked[0]?.bits ?? 1) || 1;
    this.rows.replaceChildren(
      ...ranked.slice(0, LISTED).map(({ layer, head, bits }) => {
        const button = made("button", {
          type: "button",
          className: "alternative",
          textContent: headName(layer, head),
        });
        button.addEventListener("click", () => this.onOpen({ layer, head }));
        const bar = made("span", { className: bits < 0 ? "minus" : "after" });
        bar.style.width = `${(100 * Math.abs(bits)) / most}%`;
        return made(
          "tr",
          {},
          made("th", { scope: "row" }, button, made("span", { className: "bars" }, bar)),
          made("td", { textContent: percent(found.shares[layer][head]) }),
          made("td", { textContent: signed(bits, 2) }),
        );
      }),
    );
    const all = runs.run.layers * runs.run.heads;
    const missing = all - found.measured;
    setText(
      this.joint,
      found.joint_bits === null
        ? ""
        : `All ${all} off at once: ${signed(found.joint_bits, 2)} bits of surprise, ${percent(found.joint)}. ` +
            `The single effects sum to ${signed(found.sum_bits, 2)}: they need not add up, since later heads ` +
            "make up for missing ones (McGrath et al. 2023).",
    );
    const others = runs.run.status?.off?.length ? " Measured with all heads on." : "";
    setText(this.control, controlWords(found.control, missing) + others);
    this.grid.show(
      found.bits,
      runs.look,
      `The effect of each head, by layer and head; the largest is ${ranked[0] ? headName(ranked[0].layer, ranked[0].head) : "none"}.`,
    );
  }
}

/** The measured heads, the largest effect first, whatever its sign. */
export function rankedHeads(bits) {
  return bits
    .flatMap((row, layer) => row.map((value, head) => ({ layer, head, bits: value })))
    .filter(({ bits: value }) => value !== null)
    .sort((a, b) => Math.abs(b.bits) - Math.abs(a.bits));
}

export function controlWords(control, missing) {
  const blank = missing ? ` ${missing} heads were not measured: their cells are hatched.` : "";
  if (control === null) return `The control was not measured.${blank}`;
  return control === 0
    ? `Control: every head replaced by itself changes nothing, exactly.${blank}`
    : `Control: every head replaced by itself changes ${control} logits, so do not trust this.${blank}`;
}
