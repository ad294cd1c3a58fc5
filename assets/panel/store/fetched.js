// What the page says by itself: that nobody answers, that a call is refused, that a field is empty.

import { markFault } from "../gradio/faults.js";
import { expectText } from "../text/run_note.js";
import { halt, isOurs } from "../text/writing_pace.js";

const PATIENCE = 4000; // ms
const SILENCE =
  "No answer yet. Browsers open six connections to one address: " +
  "if this page writes in other tabs too, close one or wait for it.";

let line = null; // the StatusLine of the Output panel
let buttons = null; // the RunButtons
let timer = null;
let before = null; // what stood there when a field was emptied
let complaint = null; // what stands there instead

export function speakThrough(status, runButtons) {
  line = status;
  buttons = runButtons;
}

// Generate or Continue was pressed.
export function asked() {
  buttons?.wait(true);
  markFault();
  if (!isOurs()) expectText();
  line?.release();
  clearTimeout(timer);
  timer = setTimeout(() => line?.say({ state: "waiting", note: SILENCE }), PATIENCE);
}

export function answered() {
  buttons?.wait(false);
  clearTimeout(timer);
}

// The server has refused or is gone (sse_keep_alive.js).
globalThis.addEventListener?.("gpt2-trouble", (event) => {
  const { note, lost } = /** @type {CustomEvent} */ (event).detail;
  answered();
  halt();
  if (lost) buttons?.breakOff(note);
  line?.complain({ state: "error", note });
});

// Stop was pressed.
export function stopped() {
  halt();
  buttons?.stop();
  line?.release();
}

const lastOf = new Map(); // number field -> what it held last

// Gradio puts the smallest number into an empty field when it is left: put the last one back first.
globalThis.document?.addEventListener("focusin", ({ target }) => remember(target));
globalThis.document?.addEventListener("input", ({ target }) => remember(target), true);
globalThis.document?.addEventListener(
  "blur",
  ({ target }) => {
    if (!isNumber(target) || target.value !== "" || !lastOf.has(target)) return;
    target.value = lastOf.get(target);
    target.dispatchEvent(new Event("input", { bubbles: true }));
  },
  true,
);

/** @returns {node is HTMLInputElement} */
function isNumber(/** @type {unknown} */ node) {
  return node instanceof HTMLInputElement && node.type === "number";
}

function remember(node) {
  if (isNumber(node) && node.value !== "") lastOf.set(node, node.value);
}

// A number field has changed.
export function typed(label, value, field) {
  if (!line) return;
  const empty = value === null || value === undefined || Number.isNaN(value);
  const complains = complaint !== null && line.status === complaint; // nothing came after it
  if (empty) {
    if (!complains) before = line.status ?? {};
    complaint = {
      state: "error",
      note: `${label} is empty. Type a number; left empty, it keeps the last one.`,
    };
    line.complain(complaint);
    markFault(field);
  } else if (complains) line.release(before);
}
