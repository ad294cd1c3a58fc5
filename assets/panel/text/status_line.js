// Words and numbers under the text: what is going on, how far, how fast.

import { atMostEvery, perFrame, setHidden, setText } from "../gradio/dom.js";

const CALM = 100; // ms between two looks at running numbers: faster nobody reads
const LEGIBLE = 5000; // ms that a complaint stands at least, unless the visitor acts

export const BUSY = ["waiting", "loading", "running"]; // states of a text that is still to come

const WORDS = {
  waiting: "Waiting in line.",
  loading: "Loading the model.",
  running: "Writing.",
  done: "Done.",
  stopped: "Stopped.",
  error: "That did not work.",
};

const UNKNOWN = "–";
const SAYS = { limit: "most", speed: "rate", first: "wait" }; // a number, and the words around it

// A number that is not known yet keeps its place with a dash.
export function numbersOf(stats) {
  const known = (value, text) => (value === null || value === undefined ? UNKNOWN : text);
  const { new: made, limit, speed, first, seed } = stats ?? {};
  return {
    made: known(made, String(made)),
    limit: known(limit, String(limit)),
    speed: known(speed, speed >= 10 ? Math.round(speed).toString() : Number(speed).toFixed(1)),
    first: known(first, Number(first).toFixed(2)),
    seed: known(seed, String(seed)),
  };
}

export function sentenceOf(status) {
  if (!status) return "";
  return status.note || (WORDS[status.state] ?? "");
}

const due = new Set();
// Those of all columns in one frame: they advance together.
const countSoon = atMostEvery(
  CALM,
  perFrame(() => {
    for (const line of due) line.count();
    due.clear();
  }),
);

export class StatusLine {
  constructor(parts) {
    this.parts = parts;
    this.state = null;
    this.status = null; // what was said last
    this.stats = null;
    this.over = false; // what is not known by now stays unknown
    this.legible = null; // when the complaint that stands here will have been read
    this.behind = null; // what was said of a text meanwhile
    this.timer = null;
  }

  show(status) {
    if (status?.run === null && status.state === "error") return this.complain(status);
    if (status?.run !== null) this.measure(status); // else the text shown keeps its numbers
    if (this.legible === null) this.say(status);
    else this.hold(status);
  }

  measure(status) {
    this.stats = status?.stats;
    this.over = Boolean(this.stats) && status.state !== "running";
    due.add(this);
    countSoon(status?.state !== "running");
  }

  /** A text that is being written says so many times a second: a complaint stands over that. */
  complain(status) {
    this.legible = performance.now() + LEGIBLE;
    this.say(status);
  }

  // Only its end is news, and that waits until the complaint has been read.
  hold(status) {
    this.behind = status;
    clearTimeout(this.timer);
    if (BUSY.includes(status?.state)) return;
    this.timer = setTimeout(() => this.release(), this.legible - performance.now());
  }

  /** The visitor has acted: on with what was said meanwhile, else with `before`, if that is known. */
  release(before = null) {
    const next = this.behind ?? before;
    clearTimeout(this.timer);
    this.legible = this.behind = null;
    if (next) this.say(next);
  }

  /** The text is gone, and its numbers with it. */
  forget() {
    this.release();
    this.stats = null;
    this.over = false;
    this.count();
  }

  count() {
    const numbers = numbersOf(this.stats);
    for (const [name, text] of Object.entries(numbers)) setText(this.parts[name], text);
    for (const [name, words] of Object.entries(SAYS)) {
      setHidden(this.parts[words], this.over && numbers[name] === UNKNOWN);
    }
    // Room for the digits to come: what follows stands still.
    const room = Math.max(0, numbers.limit.length - numbers.made.length);
    this.parts.progress.style.paddingInlineEnd = `${room}ch`;
  }

  // Progress in the note is for the eyes: only its first sentence is read aloud.
  say(status) {
    const { note } = this.parts;
    const state = status?.state ?? "";
    this.status = status;
    const repeated = state === "loading" && this.state === "loading";
    note.setAttribute("aria-live", repeated ? "off" : "polite");
    note.dataset.state = state;
    setText(note, sentenceOf(status));
    this.state = state;
  }
}
