// Keeps the newest text and the controls in this tab, so that a reload loses nothing: by hand, or by
// Gradio itself once a broken connection is back. The server may be a new one that knows no text.

import { atMostEvery } from "../gradio/dom.js";

const TEXT = "gpt2 text";
const CONTROLS = "gpt2 controls";
const TREE = "gpt2 branches";
const OWN = "gpt2 address";
const GAP = 250; // ms between two writes while a text grows

// Half a surrogate pair, which no server can send back, and NUL; with `u` whole pairs are no halves.
const UNSAFE = /[\ud800-\udfff\0]/gu;

/** JSON that every server and browser can read, whatever was typed. */
export function asJson(value) {
  return JSON.stringify(value, (_, item) =>
    typeof item === "string" ? item.replace(UNSAFE, "\ufffd") : item,
  );
}
let forgotten = false; // the page is about to be loaded anew, without its text

// Gradio calls this with every control's value when one of them has changed.
export function keepControls(values) {
  store(CONTROLS, values);
}

// What the page asks the server to put back, as JSON; empty in a new tab.
export function read() {
  const kept = stored();
  return kept.text || kept.controls ? asJson(kept) : "";
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
    sessionStorage.removeItem(TREE);
    sessionStorage.removeItem(OWN);
  } catch {
    // nothing is kept there
  }
  forgotten = true;
}

export function keepText(runs) {
  const write = () =>
    runs.run?.status && !forgotten && store(TEXT, { ...snapshot(runs.run), run: runs.run.id });
  const writeTree = () => runs.run?.status && !forgotten && store(TREE, runs.branches.packed());
  const soon = atMostEvery(GAP, write);
  runs.subscribe((kind) => {
    if (kind === "branch" || (kind === "status" && !runs.running)) writeTree();
    if (kind === "tokens" || kind === "status") soon();
  });
  addEventListener("pagehide", () => {
    write();
    writeTree();
  });
}

/** The branches of the kept text, as `Branches.packed` made them; null where there are none. */
export function keptTree() {
  return load(TREE);
}

/** What of both is kept, parsed; null where nothing is. */
export function stored() {
  return { text: load(TEXT), controls: load(CONTROLS) };
}

export function snapshot({ tokens, status }) {
  const { size, prompt, stats } = status;
  const state = status.broken ? "running" : status.state; // as it was when the server was lost
  const { sampling, off, instead } = status;
  return {
    size,
    prompt,
    state,
    seed: stats?.seed,
    sampling,
    off,
    instead,
    tokens: tokens.items.slice(0, tokens.ready),
  };
}

// Where a browser forbids storage the page works as before: only a reload forgets.
function store(key, value) {
  keep(key, asJson(value));
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
    return JSON.parse(sessionStorage.getItem(key) ?? "null");
  } catch {
    return null; // storage is forbidden, or another hand has written there
  }
}
