// Move the sink: the map as it would be, had the first token and another swapped their positions.

import { percent } from "../gradio/formats.js";
import { setText } from "../gradio/dom.js";
import { Question } from "./question.js";
import { nameOf, quotedOf } from "../text/token_label.js";
import { decodeBase64, splitRows, weightsOf } from "../store/wire.js";

const HARDLY = 0.1; // of all attention, below which the first token is no sink

export class Sink {
  // `onMove(stand)` is given the rows to draw instead, or null.
  constructor({ movesink, movename, moved, movelabel }, runs, onMove) {
    this.parts = { movesink, movename, moved, movelabel };
    this.runs = runs;
    this.onMove = onMove;
    this.question = new Question(runs);
    this.at = -1; // the place that is swapped with the first
    this.plain = [movename.textContent, moved.textContent];
    movelabel.classList.add("begun");
    moved.classList.add("begun");
    movesink.addEventListener("change", () => (movesink.checked ? this.begin() : this.end()));
    this.name();
  }

  get on() {
    return this.at > 0;
  }

  begin() {
    this.at = this.runs.selection.query;
    this.ask();
  }

  end() {
    this.at = -1;
    this.question.drop();
    this.parts.movesink.checked = false;
    this.onMove(null);
    this.name();
  }

  /** kind: what the store has told. */
  hear(kind) {
    if (kind === "run" && this.on) this.end();
    if (kind === "view" && this.on) this.ask();
    this.name();
  }

  async ask() {
    const { runs } = this;
    const view = { ...runs.look };
    const answer = await this.question.ask({ want: "sink", at: this.at, view });
    if (!answer || !this.on) return;
    if (answer.error) {
      this.end();
      return setText(this.parts.moved, answer.error);
    }
    const plain = answer.view.plain;
    const rows = splitRows(decodeBase64(answer.rows), 0).map((row) => weightsOf(row, plain));
    const at = (i) => rows[i] ?? null;
    this.onMove({
      key: `moved ${this.at} ${runs.key}`,
      count: rows.length,
      drawable: rows.length,
      splits: false,
      words: `As it would be with the positions of ${nameOf(runs.run.tokens.items, 0)} and ${nameOf(runs.run.tokens.items, this.at)} swapped.`,
      row: at,
      shownRow: at,
    });
    const tokens = runs.run.tokens.items;
    const { first, at: there } = answer.shares;
    setText(
      this.parts.moved,
      `${quotedOf(tokens, 0)} ${percent(first[0])} → ${percent(first[1])}, ` +
        `${quotedOf(tokens, this.at)} ${percent(there[0])} → ${percent(there[1])} ` +
        "of what later tokens give, mean over all heads." +
        (first[0] < HARDLY ? " There is hardly a sink in this text." : ""),
    );
    this.name();
  }

  name() {
    const { runs, parts } = this;
    const tokens = runs.run?.tokens.items ?? [];
    const { query } = runs.selection;
    const able = query > 0 && query < (runs.run?.rowCount ?? 0) - 1 && !runs.running;
    parts.movesink.disabled = !this.on && !able;
    setText(
      parts.movename,
      this.on
        ? `${nameOf(tokens, 0)} and ${nameOf(tokens, this.at)} have swapped positions`
        : this.plain[0],
    );
    if (!this.on) setText(parts.moved, this.plain[1]);
  }
}
