// Two prompts, one patch: the stream of this text's prompt is put into another one, a layer and a
// token at a time, and each cell says how much of the answer comes back.

import { setHidden, setText } from "../gradio/dom.js";
import { GridMap } from "./grid_map.js";
import { Question, made } from "./question.js";
import { labelOf, nameOf, plainText } from "../text/token_label.js";

const ASK =
  "Change a word of the prompt, so that another answer is right; keep the number of tokens.";
const CLOSE = 0.5; // logits between the prompts below which shares are of next to nothing

export class PatchMap {
  /** @param {HTMLElement} box */
  constructor(box, runs, themeOf) {
    this.box = box;
    this.runs = runs;
    this.themeOf = themeOf;
    this.question = new Question(runs);
    this.found = null; // {run, ...result}
    this.of = null; // the text whose prompt stands in the field
    this.grid = new GridMap((place) => runs.select({ query: place, key: null }));
    this.field = made("textarea", { rows: 2, "aria-label": "Second prompt", spellcheck: false });
    this.go = made("button", { type: "button", className: "switch", textContent: "Patch" });
    this.bar = made("progress", { max: 1, value: 0, "aria-label": "Cells measured" });
    this.words = made("p", { className: "fact grid-about", role: "status" });
    this.go.addEventListener("click", () => (this.question.busy ? this.stop() : this.ask()));
    this.field.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.shiftKey) return;
      event.preventDefault();
      if (!this.question.busy) this.ask();
    });
  }

  open() {
    this.box.replaceChildren(
      made("div", { className: "grid-form" }, this.field, this.go, this.bar),
      this.words,
      this.grid.scroll,
      this.grid.words,
    );
    this.show();
  }

  close() {
    if (this.question.busy) this.stop();
  }

  show() {
    const { runs } = this;
    const { run } = runs;
    const prompt = run?.status?.prompt ?? run?.rowCount ?? 0;
    if (run && this.of !== run.id && run.tokens.ready >= prompt && prompt) {
      this.of = run.id;
      this.found = null;
      this.question.drop();
      this.field.value = plainText(run.tokens.items.slice(0, prompt));
      setText(this.words, ASK);
    }
    if (!this.question.busy) this.idle();
    const { found } = this;
    this.grid.show(found ? this.gridOf(found) : null, this.themeOf());
    this.grid.select(runs.selection.query);
  }

  async ask() {
    setText(this.go, "Cancel");
    setHidden(this.bar, false);
    this.found = null;
    this.grid.show(null, this.themeOf());
    this.request = { want: "patch", prompt: this.field.value };
    const answer = await this.question.ask(this.request, (done, of) => {
      this.bar.max = Math.max(1, of);
      this.bar.value = done;
      setText(this.words, of ? `${done} of ${of} passes` : "Waiting in line …");
    });
    if (!answer) return;
    this.idle();
    if (answer.error) return setText(this.words, answer.error);
    this.found = answer.result;
    setText(this.words, wordsOf(answer.result));
    this.show();
  }

  stop() {
    this.question.cancel(this.request);
    this.idle();
    setText(this.words, ASK);
  }

  idle() {
    setText(this.go, "Patch");
    setHidden(this.bar, true);
    this.bar.value = 0;
  }

  gridOf({ corrupted, clean, restored }) {
    return {
      columns: corrupted,
      first: 0,
      rows: restored.map((_, layer) => String(layer + 1)),
      name: `How much of the answer comes back, for ${restored.length} layers and ${corrupted.length} tokens.`,
      cell: (row, column) => {
        const value = restored[row][column];
        const text = value === null ? "" : String(Math.round(100 * value) / 100);
        const changed =
          labelOf(clean[column]) === labelOf(corrupted[column])
            ? nameOf(corrupted, column)
            : `“${labelOf(clean[column])}” instead of ${nameOf(corrupted, column)}`;
        const words =
          value === null
            ? "Not measured."
            : `Stream of ${changed} entering layer ${row + 1}: ${text} of the answer comes back`;
        return { share: value, text, words };
      },
    };
  }
}

/** What is compared, and whether it can be trusted. */
export function wordsOf({ answers, leads, control }) {
  const [answer, other] = answers.map((token) => `“${labelOf(token)}”`);
  const safe =
    control === 0
      ? "Control: the stream put into itself changes nothing, exactly."
      : control === null
        ? "The control was not measured."
        : `Control: the stream put into itself changes ${control} logits, so do not trust this.`;
  const close =
    Math.abs(leads[0] - leads[1]) < CLOSE
      ? "Both prompts are answered nearly alike, so these shares say little. "
      : "";
  return (
    `${close}${answer} over ${other}: 0 is the second prompt (${leads[1].toFixed(2)} logits), 1 this text's ` +
    `(${leads[0].toFixed(2)}). ${safe}`
  );
}
