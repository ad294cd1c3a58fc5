// The logit lens at the selected token: what each layer would have put there.

import { percent } from "../gradio/formats.js";
import { setHidden, setText } from "../gradio/dom.js";
import { labelOf, placeOf, quotedOf } from "../text/token_label.js";

export class LayersList {
  constructor(parts, runs) {
    this.parts = parts;
    this.runs = runs;
    this.lines = [];
    this.shown = null; // what was told of the newest token
  }

  show(at) {
    const { parts, runs } = this;
    const { inspected, run } = runs;
    const tokens = run?.tokens.items ?? [];
    setText(
      parts.layerstitle,
      at < 0 ? "Layer by layer" : `${quotedOf(tokens, at)} ${placeOf(tokens, at)}`,
    );
    if (at < 0 && runs.running && this.shown) return undefined; // the newest token is shown live
    const found = at < 0 || at >= (run?.tokens.ready ?? 0) ? null : inspected.layersAt(at);
    this.shown = null;
    if (found === null)
      return this.blank(at < 0 ? "Choose a token, or wait until the text is written." : "");
    if (found === undefined) return this.blank(inspected.failed || "…");
    if (found.stages.length === 0)
      return this.blank(
        "Nothing stands before the first token, so there is nothing to guess from.",
      );
    return this.fill(at, found);
  }

  /** The newest token while a text is written, as the server has just told. */
  live(found) {
    const { parts, runs } = this;
    const tokens = runs.run.tokens.items;
    this.shown = found;
    if (found.at < tokens.length)
      setText(parts.layerstitle, `${quotedOf(tokens, found.at)} ${placeOf(tokens, found.at)}`);
    this.fill(found.at, found);
  }

  fill(at, { stages, guesses, shares, ranks, settled, early }) {
    const { parts } = this;
    const tokens = this.runs.run.tokens.items;
    const last = stages.length - 1;
    setText(
      parts.settles,
      `${settledWords(stages, settled)} ${at < tokens.length ? hitWords(guesses[last], tokens[at]) : ""}`,
    );
    setText(parts.early, early);
    setHidden(parts.stages, false);
    while (this.lines.length < stages.length) this.lines.push(this.line());
    this.lines.forEach((made, k) => {
      setHidden(made.line, k > last);
      if (k > last) return;
      made.line.classList.toggle("settled", k >= settled);
      setText(made.stage, shortOf(stages[k]));
      made.stage.title = longOf(stages[k]);
      made.line.classList.toggle("half", isHalf(stages[k]));
      setText(made.guess, labelOf(guesses[k]));
      made.bar.style.width = `${100 * shares[k]}%`;
      setText(made.share, percent(shares[k]));
      setText(made.rank, ranks[k].toLocaleString("en"));
    });
  }

  line() {
    const line = document.createElement("tr");
    const stage = document.createElement("th");
    stage.scope = "row";
    const [guessed, share, rank] = Array.from({ length: 3 }, () => document.createElement("td"));
    const guess = document.createElement("bdi");
    const bars = document.createElement("span");
    bars.className = "bars";
    const bar = document.createElement("span");
    bar.className = "after";
    bars.append(bar);
    guessed.className = "guess";
    guessed.append(guess, bars);
    line.append(stage, guessed, share, rank);
    this.parts.stagelines.append(line);
    return { line, stage, guess, bar, share, rank };
  }

  blank(words) {
    setText(this.parts.settles, words);
    setText(this.parts.early, "");
    setHidden(this.parts.stages, true);
  }
}

function settledWords(stages, settled) {
  const last = stages.length - 1;
  if (settled === 0) return "The guess is there from the start.";
  if (settled === last) return `Settles only at the end, ${longOf(stages[last])}.`;
  return `Settles ${longOf(stages[settled])} of ${stages[last]}.`;
}

// Of the server's names: "embedding", "3 attention" for half a layer, "3" for all of it.
const isHalf = (stage) => stage.endsWith("attention");

function shortOf(stage) {
  if (stage === "embedding") return "in";
  return isHalf(stage) ? `${parseInt(stage, 10)} att.` : `${stage} MLP`;
}

function longOf(stage) {
  if (stage === "embedding") return "before the first layer";
  return isHalf(stage)
    ? `after the attention of layer ${parseInt(stage, 10)}`
    : `after layer ${stage}`;
}

function hitWords(guess, written) {
  const same = JSON.stringify(guess) === JSON.stringify(written);
  return same
    ? "The model's guess is what stands here."
    : `The model's guess is “${labelOf(guess)}”.`;
}
