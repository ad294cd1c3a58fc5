// The logit lens at the selected token: what each layer would have put there.

import { percent } from "./comparison.js";
import { setHidden, setText } from "./dom.js";
import { labelOf, placeOf, quotedOf } from "./token_label.js";

export class LayersList {
  constructor(parts, runs) {
    this.parts = parts;
    this.runs = runs;
    this.lines = [];
  }

  show(at) {
    const { parts, runs } = this;
    const { inspected, run } = runs;
    const tokens = run?.tokens.items ?? [];
    setText(
      parts.layerstitle,
      at < 0 ? "Layer by layer" : `${quotedOf(tokens, at)} ${placeOf(tokens, at)}`,
    );
    const found = at < 0 || at >= (run?.tokens.ready ?? 0) ? null : inspected.layersAt(at);
    if (found === null)
      return this.blank(at < 0 ? "Choose a token, or wait until the text is written." : "");
    if (found === undefined) return this.blank(inspected.failed || "…");
    if (found.stages.length === 0)
      return this.blank(
        "Nothing stands before the first token, so there is nothing to guess from.",
      );
    const { stages, guesses, shares, ranks, settled, early } = found;
    const last = stages.length - 1;
    setText(parts.settles, `${settledWords(settled, last)} ${hitWords(guesses[last], tokens[at])}`);
    setText(parts.early, early);
    setHidden(parts.stages, false);
    while (this.lines.length < stages.length) this.lines.push(this.line());
    this.lines.forEach((made, k) => {
      setHidden(made.line, k > last);
      if (k > last) return;
      made.line.classList.toggle("settled", k >= settled);
      setText(made.stage, k === 0 ? "in" : stages[k]);
      made.stage.title =
        k === 0 ? "embeddings, before the first layer" : `after layer ${stages[k]}`;
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

function settledWords(settled, last) {
  if (settled === 0) return "The guess is there from the start.";
  return settled === last
    ? `Settles only in the last layer, ${last}.`
    : `Settles at layer ${settled} of ${last}.`;
}

function hitWords(guess, written) {
  const same = JSON.stringify(guess) === JSON.stringify(written);
  return same
    ? "The model's guess is what stands here."
    : `The model's guess is “${labelOf(guess)}”.`;
}
