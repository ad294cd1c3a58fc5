// What the views of the Compare tab know of each other: the columns there are, and their texts.

import { plainText } from "../text/token_label.js";

/** @type {{ title: string, runs: Runs }[]} */
let columns = [];
const listeners = new Set();

/** @param {{ title: string, runs: Runs }[]} now */
export function shareColumns(now) {
  columns = now;
  for (const listener of listeners) listener();
}

/** @param {() => void} listener */
export function onColumns(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** The columns of the newest comparison. */
export function shownColumns() {
  return columns;
}

// [{title, text}] of the columns that have written anything.
export function textsOf() {
  return columns.flatMap(({ title, runs }) => {
    const tokens = runs.run?.tokens;
    if (!tokens?.ready) return [];
    return [{ title, text: plainText(tokens.items.slice(0, tokens.ready)) }];
  });
}
