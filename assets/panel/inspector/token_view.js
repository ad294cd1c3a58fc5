// The token itself: its id and bytes, how it was merged, and the text around it in other tokens.

import { setHidden, setText } from "../gradio/dom.js";
import { Question, made } from "./question.js";
import { labelOf, placeOf, quotedOf } from "../text/token_label.js";

export class TokenView {
  /** @param {HTMLElement} box */
  constructor(box, runs) {
    this.runs = runs;
    this.question = new Question(runs);
    this.known = new Map(); // "run place length" -> answer
    this.title = made("h3", { textContent: "The token itself" });
    this.facts = made("p", { className: "fact first" });
    this.bytes = made("p", { className: "fact" });
    this.merges = made("p", { className: "fact" });
    this.tree = made("ul", { className: "merges", "aria-label": "How it was merged" });
    this.counts = made("p", { className: "fact" });
    this.own = made("p", { className: "cut", role: "group", "aria-label": "This model's tokens" });
    this.other = made("p", {
      className: "cut",
      role: "group",
      "aria-label": "The other vocabulary's tokens",
    });
    this.found = made(
      "div",
      {},
      this.facts,
      this.bytes,
      this.merges,
      this.tree,
      this.counts,
      this.own,
      this.other,
    );
    this.words = made("p", { className: "fact" });
    box.replaceChildren(this.title, this.words, this.found);
  }

  show(at) {
    const { run } = this.runs;
    const tokens = run?.tokens.items ?? [];
    const there = at >= 0 && at < (run?.tokens.ready ?? 0);
    setText(
      this.title,
      there ? `${quotedOf(tokens, at)} ${placeOf(tokens, at)}` : "The token itself",
    );
    if (!there) return this.blank("Choose a token.");
    const key = `${run.id} ${at} ${run.tokens.ready}`;
    const found = this.known.get(key);
    if (found) return this.fill(found);
    if (this.asked !== key) this.ask(key, at);
    return undefined;
  }

  async ask(key, at) {
    this.asked = key;
    this.blank("…");
    const answer = await this.question.ask({ want: "token", at });
    this.asked = "";
    if (!answer) return;
    if (answer.error) this.blank(answer.error);
    else {
      this.known.set(key, answer);
      this.fill(answer);
    }
  }

  fill({ id, bytes, special, merges, vocabulary, other, pieces, counts }) {
    setText(this.words, "");
    setHidden(this.found, false);
    setText(this.facts, `id ${whole(id)} of ${whole(vocabulary)}`);
    const hex = bytes.map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
    setText(this.bytes, `${bytes.length} ${bytes.length === 1 ? "byte" : "bytes"}: ${hex}`);
    const single = merges.parts.length === 0;
    setText(this.merges, mergeWords(special, single, merges.number, vocabulary - 257));
    setHidden(this.tree, single);
    this.tree.replaceChildren(...(single ? [] : [branch(merges)]));
    const cut = counts !== null;
    setText(
      this.counts,
      cut
        ? `This text is ${whole(counts[0])} tokens here and ${whole(counts[1])} in a vocabulary of ${whole(other)}. Around this token:`
        : "What does not end on a whole character is not cut by another vocabulary.",
    );
    for (const [box, name] of [
      [this.own, "own"],
      [this.other, "other"],
    ]) {
      setHidden(box, !cut);
      box.replaceChildren(
        ...pieces.flatMap((piece) =>
          piece[name].map((token) =>
            made("bdi", {
              className: piece.here ? "chip here" : "chip",
              textContent: labelOf(token),
            }),
          ),
        ),
      );
    }
  }

  blank(words) {
    setText(this.words, words);
    setHidden(this.found, true);
  }
}

function mergeWords(special, single, number, merges) {
  if (special) return "It marks the end of a text and was never merged.";
  if (single) return "A single byte: one of the 256 that every vocabulary begins with.";
  return `Merge ${whole(number)} of ${whole(merges)}: the lower, the more frequent the pair.`;
}

function branch({ token, number, parts }) {
  const name = made("bdi", { className: "chip", textContent: labelOf(token) });
  const item = made("li", {}, name, number ? ` ${whole(number)}` : " byte");
  if (parts.length) item.append(made("ul", {}, ...parts.map(branch)));
  return item;
}

const whole = (count) => count.toLocaleString("en");
