// Directly under Generate: what is going on, and how far. Where the page is one column, the reader
// is taken on to the text, and a bar at the bottom says the same and holds Stop.

import { partsOf, setHidden, setText } from "../gradio/dom.js";
import { BUSY, numbersOf, sentenceOf } from "./status_line.js";

const UNFOLDS = 1000; // ms
const ONE_COLUMN = "(max-width: 920px)";

/** @type {HTMLElement | null} */
let note = null; // the Output panel's own line
/** @type {Parts | null} */
let host = null; // {parts} of this view, once it is on the page
let led = true; // the reader has been taken to the text that was asked for

/** @param {HTMLElement} element */
export function mount(element) {
  host = partsOf(element);
  host.stop.addEventListener("click", () => document.getElementById("stop")?.click());
  meet();
}

/**
 * The line that says what is going on; it moves under the buttons as soon as both are there.
 * @param {HTMLElement} line
 */
export function saidUnderButtons(line) {
  note = line;
  meet();
}

function meet() {
  if (note && host) host.said.append(note);
}

/** Something was asked for: when it begins, the reader is taken to it. */
export function expectText() {
  led = false;
}

/**
 * What was last heard of a text; null where the page is new.
 * @param {RunMessage} message
 */
export function showProgress(message) {
  if (!host) return;
  const busy = BUSY.includes(message?.state);
  const width = `${Math.round(100 * (busy ? partOf(message) : 0))}%`;
  host.part.style.width = host.barpart.style.width = width;
  setHidden(host.bar, !busy);
  if (busy) setText(host.words, words(message));
  if (message?.state === "error") keepInView();
  else if (busy && !led) lead();
}

// A complaint may unfold the field it is about, which moves the line down.
function keepInView() {
  const show = () => note?.scrollIntoView({ block: "nearest" });
  const moves = new ResizeObserver(show);
  const controls = document.getElementById("controls");
  if (controls) moves.observe(controls);
  setTimeout(() => moves.disconnect(), UNFOLDS);
}

/** @param {RunMessage} given */
function partOf({ part, stats }) {
  return part ?? (stats?.limit ? stats.new / stats.limit : 0);
}

/** @param {RunMessage} message */
function words(message) {
  if (!message.stats) return sentenceOf(message);
  const { made, limit, speed } = numbersOf(message.stats);
  return `${made} of ${limit} tokens · ${speed} tokens/s`;
}

function lead() {
  led = true;
  if (!matchMedia(ONE_COLUMN).matches) return;
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  document
    .getElementById("output")
    ?.scrollIntoView({ block: "start", behavior: still ? "auto" : "smooth" });
}
