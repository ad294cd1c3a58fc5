// How likely the selected token was, and what else could have come: before and after sampling.

import { barOf, setHidden, setText } from "../gradio/dom.js";
import { percent } from "../gradio/formats.js";
import { labelOf, placeOf, quotedOf } from "../text/token_label.js";

const LINES = 11; // the ten likeliest, and the chosen one where it is not among them
const START = "<|endoftext|>";

export class ChoicesList {
  /** onFork(at, candidate) is told which other token was chosen. */
  constructor(parts, runs, onFork) {
    this.parts = parts;
    this.runs = runs;
    this.onFork = onFork;
    this.before = false; // whether <|endoftext|> stands before the text
    this.at = -1;
    this.lines = Array.from({ length: LINES }, () => this.line());
    this.rest = this.line();
    this.rest.line.className = "others";
    parts.startbefore.addEventListener("change", () => {
      this.before = parts.startbefore.checked;
      this.show(this.at);
    });
  }

  line() {
    const line = document.createElement("tr");
    const name = document.createElement("th");
    name.scope = "row";
    const button = document.createElement("button");
    button.type = "button";
    button.className = "alternative";
    const plain = document.createElement("bdi");
    const bars = document.createElement("span");
    bars.className = "bars";
    const [model, after] = ["model", "after"].map((kind) => {
      const bar = document.createElement("span");
      bar.className = kind;
      bars.append(bar);
      return bar;
    });
    name.append(button, plain, bars);
    const cells = [document.createElement("td"), document.createElement("td")];
    line.append(name, ...cells);
    this.parts.candidates.append(line);
    const made = { line, button, plain, bars: [model, after], cells, candidate: null };
    button.addEventListener("click", () => made.candidate && this.onFork(this.at, made.candidate));
    return made;
  }

  show(at) {
    const { runs, parts } = this;
    const { inspected, run } = runs;
    this.at = at;
    const tokens = run?.tokens.items ?? [];
    setText(
      parts.nexttitle,
      at < 0 ? "Next token" : `${quotedOf(tokens, at)} ${placeOf(tokens, at)}`,
    );
    if (at < 0 || at >= (run?.tokens.ready ?? 0))
      return this.blank(at < 0 ? "Choose a token, or wait until the text is written." : "");
    const choice = inspected.choiceAt(at, this.before);
    if (choice === undefined) return this.blank(inspected.failed || "…");
    const { sampling, vocabulary, starts } = inspected.facts;
    setText(parts.startnote, starts ? `The text begins with ${START}.` : "Written without it.");
    setHidden(parts.startcheck, starts);
    if (choice === null) {
      return this.blank(
        `Nothing stands before the first token, so the model had no say in it. Put ${START} before it to see what it expects at the start of a text.`,
      );
    }
    const chosen = choice.likeliest.find((each) => each.chosen);
    setText(parts.likely, `${percent(chosen.shares[0])} likely · rank ${whole(chosen.rank)}`);
    setText(
      parts.surprise,
      `${choice.bits.toFixed(1)} bits of surprise · entropy ${choice.entropy.toFixed(1)} bits`,
    );
    setText(parts.sampled, modeOf(sampling));
    const longest = Math.max(...choice.likeliest.flatMap((each) => each.shares));
    this.lines.forEach((line, k) => {
      this.fill(line, choice.likeliest[k], longest);
    });
    this.fillRest(choice, vocabulary - choice.likeliest.length);
    const cut = chosen.cut ? `${quotedOf(tokens, at)} was ${chosen.cut}. ` : "";
    setText(
      parts.kept,
      `${cut}${whole(choice.kept)} of ${whole(vocabulary)} tokens kept; each column sums to 100\u00a0%.`,
    );
    setText(parts.stays, this.staysWords(at));
    setText(parts.forkhint, this.able ? "Choose another to rewrite the text from here." : "");
  }

  // Between which temperatures the same draw gives this token: of what was written, not read.
  staysWords(at) {
    const { runs } = this;
    if (this.before || runs.running || !runs.run.status || at < runs.run.status.prompt) return "";
    const found = runs.inspected.answerTo({ want: "stays", at, n: runs.run.tokens.ready });
    if (!found) return "…";
    if (!found.drawn) return "Put here, or drawn with other settings.";
    const side = (words, { temperature, instead }) =>
      `“${labelOf(instead)}” ${words} temperature ${temperature.toFixed(2)}`;
    const { below, above } = found;
    const sides = [below && side("below", below), above && side("above", above)].filter(Boolean);
    return sides.length
      ? `Same draw: ${sides.join(", ")}.`
      : "Same draw: this token at every temperature.";
  }

  /** Whether another token may be chosen: of a finished text of the reader's own. */
  get able() {
    const { run, running } = this.runs;
    return (
      this.at > 0 && !this.before && !running && Boolean(run?.status) && Boolean(this.runs.rewrite)
    );
  }

  fill(made, candidate, longest) {
    const { line, button, plain, bars, cells } = made;
    made.candidate = candidate ?? null;
    setHidden(line, !candidate);
    if (!candidate) return;
    const { token, shares, cut, chosen } = candidate;
    const label = labelOf(token);
    const clickable = this.able && !chosen && token?.special === undefined;
    setHidden(button, !clickable);
    setHidden(plain, clickable);
    setText(button, label);
    setText(plain, label);
    if (clickable) button.setAttribute("aria-label", `${label}: rewrite from here`);
    line.classList.toggle("chosen", chosen);
    line.classList.toggle("cut", Boolean(cut));
    line.title = cut ?? "";
    shares.forEach((share, k) => {
      bars[k].style.width = barOf(share, longest);
      setText(cells[k], k === 1 && cut ? "cut" : percent(share));
    });
  }

  fillRest({ rest }, count) {
    const { line, button, plain, bars, cells } = this.rest;
    setHidden(line, false);
    setHidden(button, true);
    setText(plain, `${whole(count)} others`);
    bars[0].parentElement.hidden = true; // they are no token
    rest.forEach((share, k) => {
      setText(cells[k], percent(share));
    });
  }

  // What is not known yet leaves its place free.
  blank(words) {
    const { parts } = this;
    setText(parts.likely, words);
    for (const name of ["surprise", "sampled", "kept", "stays", "forkhint"])
      setText(parts[name], "");
    for (const line of [...this.lines, this.rest]) setHidden(line.line, true);
  }
}

function modeOf({ temperature, top_k, top_p }) {
  const options = [`temperature ${short(temperature)}`];
  if (top_k) options.push(`top-k ${top_k}`);
  if (top_p < 1) options.push(`top-p ${short(top_p)}`);
  return `After: ${options.join(", ")}`;
}

const short = (number) => String(Number(number.toFixed(3)));
const whole = (count) => count.toLocaleString("en");
