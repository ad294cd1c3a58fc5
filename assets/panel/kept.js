// Keeps the newest text and the controls in this tab, so that a reload loses nothing: by hand, or by
// Gradio itself once a broken connection is back. The server may be a new one that knows no text.

import { atMostEvery } from "./dom.js";

const TEXT = "gpt2 text";
const CONTROLS = "gpt2 controls";
const GAP = 250; // ms between two writes while a text grows

// Half a surrogate pair, which no server can send back, and NUL; with `u` whole pairs are no halves.
const UNSAFE = /[\ud800-\udfff\0]/gu;

/** JSON that every server and browser can read, whatever was typed. */
export function asJson(value) {
  return JSON.stringify(value, (_, item) => (typeof item === "string" ? item.replace(UNSAFE, "\ufffd") : item));
}

// Gradio calls this with every control's value when one of them has changed.
export function keepControls(values) {
  store(CONTROLS, values);
}

// What the page asks the server to put back, as JSON; empty in a new tab.
export function read() {
  const kept = stored();
  return kept.text || kept.controls ? asJson(kept) : "";
}

export function keepText(runs) {
  const write = () => runs.run?.status && store(TEXT, snapshot(runs.run));
  const soon = atMostEvery(GAP, write);
  runs.subscribe((kind) => (kind === "tokens" || kind === "status") && soon());
  addEventListener("pagehide", write);
}

/** What of both is kept, parsed; null where nothing is. */
export function stored() {
  return { text: load(TEXT), controls: load(CONTROLS) };
}

export function snapshot({ tokens, status }) {
  const { size, prompt, stats } = status;
  const state = status.broken ? "running" : status.state; // as it was when the server was lost
  return { size, prompt, state, seed: stats?.seed, tokens: tokens.items.slice(0, tokens.ready) };
}

// Where a browser forbids storage the page works as before: only a reload forgets.
function store(key, value) {
  try {
    sessionStorage.setItem(key, asJson(value));
  } catch (error) {
    console.debug("not kept:", error.message);
  }
}

function load(key) {
  try {
    return JSON.parse(sessionStorage.getItem(key) ?? "null");
  } catch {
    return null; // storage is forbidden, or another hand has written there
  }
}
