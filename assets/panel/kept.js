// Keeps the newest text and the controls in this tab, so that a reload loses nothing: by hand, or by
// Gradio itself once a broken connection is back. The server may be a new one that knows no text.

import { atMostEvery } from "./dom.js";

const TEXT = "gpt2 text";
const CONTROLS = "gpt2 controls";
const OWN = "gpt2 address";
const GAP = 250; // ms between two writes while a text grows

let forgotten = false; // the page is about to be loaded anew, without its text

// Gradio calls this with every control's value when one of them has changed.
export function keepControls(values) {
  store(CONTROLS, values);
}

// What the page asks the server to put back, as JSON; empty in a new tab.
export function read() {
  const kept = [TEXT, CONTROLS].map((key) => load(key));
  return kept.some(Boolean) ? `{"text":${kept[0] ?? "null"},"controls":${kept[1] ?? "null"}}` : "";
}

/** The address that this tab wrote last; with one, writes it down. */
export function keepOwn(hash) {
  if (hash !== undefined) keep(OWN, hash);
  return own();
}

export function own() {
  return load(OWN) ?? "";
}

/** A reload shows no text. */
export function forgetText() {
  try {
    sessionStorage.removeItem(TEXT);
    sessionStorage.removeItem(OWN);
  } catch {
    // nothing is kept there
  }
  forgotten = true;
}

export function keepText(runs) {
  const write = () => runs.run?.status && !forgotten && store(TEXT, snapshot(runs.run));
  const soon = atMostEvery(GAP, write);
  runs.subscribe((kind) => (kind === "tokens" || kind === "status") && soon());
  addEventListener("pagehide", write);
}

/** What of both is kept, parsed; null where nothing is. */
export function stored() {
  return { text: JSON.parse(load(TEXT) ?? "null"), controls: JSON.parse(load(CONTROLS) ?? "null") };
}

export function snapshot({ tokens, status }) {
  const { size, prompt, state, stats } = status;
  return { size, prompt, state, seed: stats?.seed, tokens: tokens.items.slice(0, tokens.ready) };
}

// Where a browser forbids storage the page works as before: only a reload forgets.
function store(key, value) {
  keep(key, JSON.stringify(value));
}

function keep(key, text) {
  try {
    sessionStorage.setItem(key, text);
  } catch (error) {
    console.debug("not kept:", error.message);
  }
}

function load(key) {
  try {
    return sessionStorage.getItem(key);
  } catch {
    return null;
  }
}
