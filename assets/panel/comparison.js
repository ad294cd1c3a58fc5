// What the views of the Compare tab know of each other: the columns there are, and their texts.

import { plainText } from "./token_label.js";

let columns = [];
const listeners = new Set();

export function shareColumns(now) {
  columns = now;
  for (const listener of listeners) listener();
}

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

// A share for people; small ones stay apart from none.
export function percent(probability) {
  const value = 100 * probability;
  if (value === 0) return "0 %";
  if (value < 0.1) return "<0.1 %";
  return `${value < 10 ? value.toFixed(1) : Math.round(value)} %`;
}

export function bytes(count) {
  if (count === null || count === undefined) return "–";
  if (count >= 1e8) return `${(count / 1e9).toFixed(1)} GB`;
  return `${Math.round(count / 1e6)} MB`;
}
