// What adds up: what each part of the model adds to the selected token's lead over another one.

import { HeadGrid } from "./head_grid.js";
import { setHidden, setText } from "../gradio/dom.js";
import { Question, made } from "./question.js";
import { labelOf, quotedOf } from "../text/token_label.js";

const LISTED = 14; // of the parts, the largest
const CLOSE = 1e-4; // logits
const SOURCE =
  "What a part writes directly, with the last layer norm frozen so that parts add up " +
  "(Elhage et al. 2021). What later parts make of it is counted as theirs.";

/** @typedef {{name: string, value: number, head?: {layer: number, head: number}}} Part */

export class SharesList {
  /** @param {HTMLElement} box @param {(head: {layer: number, head: number}) => void} onOpen */
  constructor(box, runs, onOpen) {
    this.runs = runs;
    this.onOpen = onOpen;
    this.question = new Question(runs);
    this.known = new Map(); // "run place against" -> answer
    this.held = new Map(); // "run place" -> the id it is held against
    this.at = -1;
    this.asked = "";
    this.first = made("b", {});
    this.select = made("select", { className: "small", "aria-label": "Held against" });
    this.select.addEventListener("change", () => {
      this.held.set(`${this.runs.run.id} ${this.at}`, Number(this.select.value));
      this.show(this.at);
    });
    this.line = made("p", { className: "fact first lead" }, this.first, " over ", this.select);
    this.sum = made("p", { className: "fact first", role: "status" });
    this.rows = made("tbody");
    this.table = made(
      "table",
      { className: "listed of-shares" },
      made("caption", { className: "unseen", textContent: "The largest shares, in logits" }),
      made(
        "thead",
        {},
        made(
          "tr",
          {},
          made("th", { scope: "col", textContent: "Part" }),
          made("th", { scope: "col", className: "figure-column", textContent: "Logits" }),
        ),
      ),
      this.rows,
    );
    this.grid = new HeadGrid(onOpen);
    this.note = made("p", { className: "fact", textContent: SOURCE });
    this.words = made("p", { className: "fact" });
    this.found = made("div", {}, this.sum, this.table, this.grid.canvas, this.note);
    box.replaceChildren(this.line, this.words, this.found);
  }

  /** The id it is held against, null for the likeliest other one. */
  get against() {
    return this.held.get(`${this.runs.run?.id} ${this.at}`) ?? null;
  }

  show(at) {
    const { runs } = this;
    const { run } = runs;
    this.at = at;
    const tokens = run?.tokens.items ?? [];
    setHidden(this.line, at < 1 || at >= (run?.tokens.ready ?? 0));
    if (this.line.hidden)
      return this.blank(
        at === 0
          ? "Nothing stands before the first token."
          : "Choose a token, or wait until the text is written.",
      );
    setText(this.first, quotedOf(tokens, at));
    const key = `${run.id} ${at} ${this.against}`;
    const found = this.known.get(key);
    this.offer(found?.against ?? this.against);
    if (found) return found.error ? this.blank(found.error) : this.fill(found);
    this.blank("…");
    if (this.asked !== key) this.ask(key, at);
    return undefined;
  }

  async ask(key, at) {
    this.asked = key;
    const answer = await this.question.ask({ want: "shares", at, against: this.against });
    if (this.asked === key) this.asked = "";
    if (!answer) return;
    if (!answer.error) this.known.set(key, answer);
    if (answer.error) this.blank(answer.error);
    else this.show(this.at);
  }

  // The others that could have come, as the tab beside lists them.
  offer(against) {
    const { runs, select } = this;
    const choice = runs.inspected.choiceAt(this.at, false);
    const others = (choice?.likeliest ?? []).filter(({ chosen }) => !chosen);
    const found = this.known.get(`${runs.run.id} ${this.at} ${this.against}`);
    const options = others.map(({ id, token }) => [String(id), labelOf(token)]);
    if (found && !options.some(([id]) => id === String(found.against)))
      options.unshift([String(found.against), labelOf(found.names[1])]);
    const now = JSON.stringify(options);
    if (select.dataset.shown !== now) {
      select.dataset.shown = now;
      select.replaceChildren(...options.map(([id, name]) => new Option(name, id)));
    }
    if (against !== null) select.value = String(against);
  }

  fill(found) {
    const parts = partsOf(found);
    const listed = parts.slice(0, LISTED);
    const rest = parts.slice(LISTED).reduce((sum, { value }) => sum + value, 0);
    const most = Math.max(...parts.map(({ value }) => Math.abs(value)));
    const rows = listed.map((part) => this.row(part, most));
    if (parts.length > LISTED)
      rows.push(plainRow(`${parts.length - LISTED} others`, rest, "others"));
    rows.push(plainRow("Sum of all parts", found.total, "sum", 4));
    rows.push(plainRow("True difference", found.true, "sum", 4));
    this.rows.replaceChildren(...rows);
    setText(this.words, "");
    setHidden(this.found, false);
    setText(this.sum, sumWords(parts.length, found));
    setText(
      this.note,
      found.precision === "float32"
        ? SOURCE
        : `${SOURCE} Parts are worked out with float32 matrices; what ${found.precision} changes is listed as rounding.`,
    );
    this.grid.show(
      found.heads,
      this.runs.look,
      `What each head adds, by layer and head; the largest is ${parts.find((each) => each.head)?.name ?? "none"}.`,
    );
  }

  row(part, most) {
    const name = made("th", { scope: "row" });
    if (part.head) {
      const button = made("button", {
        type: "button",
        className: "alternative",
        textContent: part.name,
      });
      button.addEventListener("click", () => this.onOpen(part.head));
      name.append(button);
    } else name.append(made("bdi", { textContent: part.name }));
    const bar = made("span", { className: part.value < 0 ? "minus" : "after" });
    bar.style.width = `${(100 * Math.abs(part.value)) / most}%`;
    name.append(made("span", { className: "bars" }, bar));
    return made("tr", {}, name, made("td", { textContent: signed(part.value, 2) }));
  }

  blank(words) {
    setText(this.words, words);
    setHidden(this.found, true);
  }
}

/** All parts of the sum, the largest first. @returns {Part[]} */
export function partsOf(found) {
  /** @type {Part[]} */
  const parts = [
    { name: "token embedding", value: found.embedding },
    { name: "position embedding", value: found.position },
    { name: "bias of ln_f", value: found.final_bias },
    { name: "output biases", value: found.biases.reduce((sum, value) => sum + value, 0) },
    { name: "rounding", value: found.rounding },
  ];
  found.heads.forEach((row, layer) => {
    row.forEach((value, head) => {
      parts.push({ name: headName(layer, head), value, head: { layer, head } });
    });
  });
  found.mlps.forEach((value, layer) => {
    parts.push({ name: `MLP of layer ${layer + 1}`, value });
  });
  return parts.sort((a, b) => Math.abs(b.value) - Math.abs(a.value));
}

/** The sum and the true difference; what packed numbers leave between them is named. */
export function sumWords(count, { total, true: real, precision }) {
  const gap = real - total;
  const cost =
    Math.abs(gap) > CLOSE
      ? ` ${signed(gap, 4)} is what ${precision} costs in the output head.`
      : "";
  return `${count} parts sum to ${signed(total, 4)} logits; the model says ${signed(real, 4)}.${cost}`;
}

export function headName(layer, head) {
  return `layer ${layer + 1}, head ${head + 1}`;
}

export function signed(value, digits) {
  const text = Math.abs(value).toFixed(digits);
  return `${value < 0 && Number(text) !== 0 ? "−" : "+"}${text}`;
}

function plainRow(name, value, kind, digits = 2) {
  return made(
    "tr",
    { className: kind },
    made("th", { scope: "row", textContent: name }),
    made("td", { textContent: signed(value, digits) }),
  );
}
