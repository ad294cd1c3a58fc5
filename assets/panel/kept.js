// Keeps the newest text and the controls in this tab, so that a reload loses nothing: by hand, or by
// Gradio itself once a broken connection is back. The server may be a new one that knows no text.

import { atMostEvery } from "./dom.js";

const TEXT = "gpt2 text";
const CONTROLS = "gpt2 controls";
const GAP = 250; // ms between two writes while a text grows

// Gradio calls this with every control's value when one of them has changed.
export function keepControls(values) {
  store(CONTROLS, values);
}

// What the page asks the server to put back, as JSON; empty in a new tab.
export function read() {
  const kept = [TEXT, CONTROLS].map((key) => load(key));
  return kept.some(Boolean) ? `{"text":${kept[0] ?? "null"},"controls":${kept[1] ?? "null"}}` : "";
}

export function keepText(runs) {
  const write = () => runs.run?.status && store(TEXT, snapshot(runs.run));
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
  try {
    sessionStorage.setItem(key, JSON.stringify(value));
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
