// How fast the reader wants a text: at full speed, slowly, or one token a click. The model is never
// held up: a slow text is asked for one token after the other, so nobody waits behind it. The random
// choices belong to places of the text, so it comes out the same at every pace.

import { runsOf } from "../store/runs.js";

export const PACES = { full: "full speed", slow: "slow", step: "one token a click" };

// Places among the fields of a request (gpt2/ui/page/controls.py).
const TEMPERATURE = 2;
const NEW_TOKENS = 3;
const PATIENCE = 5000; // ms that a press of Continue may take to be heard
const GAP = 600; // ms between two tokens of a slow text: as long as it takes to look

let left = 0; // tokens of a slow text that are still to be asked for
/** @type {ReturnType<typeof setTimeout> | undefined} */
let timer;
let ours = false; // Continue is pressed by this module
let listening = false;

export function paceOf(runs = runsOf()) {
  const { pace } = runs.guide;
  return Object.hasOwn(PACES, pace) ? pace : "full";
}

/** @param {string} name */
export function choosePace(name, runs = runsOf()) {
  listen(runs);
  if (name !== "slow") halt(runs);
  runs.guideTo({ pace: name === "full" ? undefined : name });
}

/**
 * The fields that Generate or Continue sends.
 * @param {any[]} values
 * @param {Runs} [runs]
 */
export function paced(values, runs = runsOf()) {
  const pace = paceOf(runs);
  runs.request = { temperature: values[TEMPERATURE] };
  if (!ours) halt(runs);
  if (pace === "full") return values;
  if (pace === "slow" && !ours) left = values[NEW_TOKENS];
  ours = false;
  left = Math.max(0, left - 1);
  runs.pacing = left > 0;
  return values.with(NEW_TOKENS, Math.min(1, values[NEW_TOKENS])); // 0 is still to be complained of
}

/** Stop was pressed. */
export function halt(runs = runsOf()) {
  clearTimeout(timer);
  timer = undefined;
  left = 0;
  if (!runs.pacing) return;
  runs.pacing = false;
  runs.tell("status");
}

/** @param {Runs} runs */
function listen(runs) {
  if (listening) return;
  listening = true;
  runs.subscribe((/** @type {string} */ kind) => kind === "status" && heed(runs));
}

// One token is written: the next, or the end of the text.
/** @param {Runs} runs */
function heed(runs) {
  const { status } = runs.run ?? {};
  if (!runs.pacing || !status || runs.running || timer !== undefined) return;
  if (status.state !== "done" || status.note || status.full) return halt(runs);
  timer = setTimeout(() => {
    timer = undefined;
    ours = true;
    document.getElementById("continue")?.click();
    setTimeout(() => (ours = false), PATIENCE); // where it was not heard at all
  }, GAP);
}

/** Whether the press that is being heard is this module's own. */
export function isOurs() {
  return ours;
}
