// The whole text, layer by layer: what each layer would have said stands at each place.

import { percent } from "../gradio/formats.js";
import { setText } from "../gradio/dom.js";
import { GridMap } from "./grid_map.js";
import { Question, made } from "./question.js";
import { labelOf, nameOf } from "../text/token_label.js";
import { decodeBase64 } from "../store/wire.js";

const WHAT =
  "What the model would have put there had it ended at that layer; the colour says how likely. ";

export class LensMap {
  /** @param {HTMLElement} box */
  constructor(box, runs, themeOf) {
    this.box = box;
    this.runs = runs;
    this.themeOf = themeOf;
    this.question = new Question(runs);
    this.answer = null;
    this.drawn = ""; // the text that is shown
    this.grid = new GridMap((place) => runs.select({ query: place, key: null }));
    this.words = made("p", { className: "fact grid-about", role: "status" });
  }

  open() {
    this.box.replaceChildren(this.words, this.grid.scroll, this.grid.words);
    this.show();
  }

  close() {
    this.question.drop();
    this.drawn = "";
  }

  /** Whatever has changed. */
  show() {
    const { runs } = this;
    const { run } = runs;
    const key = `${run?.id} ${run?.tokenCount}`;
    const early = runs.running
      ? "Drawn when the text is written."
      : !run?.layers || run.tokens.ready < 2
        ? "A second token is needed."
        : "";
    if (early) {
      this.drawn = "";
      return this.wait(early);
    }
    if (key !== this.drawn) this.ask(key);
    else if (this.answer) this.grid.show(this.gridOf(), this.themeOf());
    this.grid.select(runs.selection.query);
    return undefined;
  }

  async ask(key) {
    this.drawn = key;
    this.answer = null;
    this.wait("…");
    const answer = await this.question.ask({ want: "grid" }, (done, of) =>
      setText(this.words, of ? `${done} of ${of} tokens` : "Waiting in line …"),
    );
    if (!answer) return;
    if (answer.error) return this.wait(answer.error);
    const { result } = answer;
    const bytes = decodeBase64(result.guess);
    this.answer = {
      ...result,
      guess: new Uint16Array(bytes.buffer, 0, bytes.length / 2),
      shares: decodeBase64(result.shares),
    };
    setText(this.words, WHAT + result.early);
    this.show();
  }

  wait(words) {
    setText(this.words, words);
    this.grid.show(null, this.themeOf());
  }

  gridOf() {
    const { answer } = this;
    const { items } = this.runs.run.tokens;
    const stages = answer.stages.length;
    const rows = answer.stages.map((name, k) => (k === 0 ? "in" : name));
    return {
      columns: items.slice(1, answer.n),
      first: 1,
      rows,
      name: `Guesses of ${stages - 1} layers for ${answer.n - 1} tokens.`,
      cell: (row, column) => {
        const i = column * stages + row;
        const [share, text] = [answer.shares[i] / 255, labelOf(answer.tokens[answer.guess[i]])];
        const where = row === 0 ? "Before the first layer" : `After layer ${rows[row]}`;
        const words = `${where}, at ${nameOf(items, column + 1)}: “${text}”, ${percent(share)}`;
        return { share, text, words };
      },
    };
  }
}
