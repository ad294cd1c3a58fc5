// Which map is looked at: one head's weights, weighted by values, a layer's heads, or all heads.

import { HEAD_MODES, LAYER_MODES, MODES, PLAIN_MODES } from "../gradio/schema.js";

/** @typedef {{mode: string, layer: number, head: number}} MapView */

export function explain(mode) {
  return MODES[mode]?.help ?? "";
}

export function needsHead(mode) {
  return HEAD_MODES.includes(mode);
}

export function needsLayer(mode) {
  return needsHead(mode) || LAYER_MODES.includes(mode);
}

/** A maximum's bytes are weights as such: its rows do not sum to 1. */
export function isPlain(mode) {
  return PLAIN_MODES.includes(mode);
}

/** What tells one map of a text from another. @param {MapView} view */
export function keyOf({ mode, layer, head }) {
  return [mode, ...(needsLayer(mode) ? [layer] : []), ...(needsHead(mode) ? [head] : [])].join("/");
}

/** How people call it; layers and heads count from 1. @param {MapView} view */
export function titleOf({ mode, layer, head }) {
  const where = needsHead(mode)
    ? `layer ${layer + 1}, head ${head + 1}`
    : needsLayer(mode)
      ? `layer ${layer + 1}`
      : "";
  return where ? `${MODES[mode].name}: ${where}` : MODES[mode].name;
}

const MOST_NAMED = 4; // heads; more would be no caption

/**
 * Heads that are off, [layer, head], as a caption says it; layers and heads count from 1.
 * @param {{off?: number[][], instead?: string}|null|undefined} made
 */
export function offWords(made) {
  const { off = [], instead } = made ?? {};
  if (!off.length) return "";
  const names = off.slice(0, MOST_NAMED).map(([layer, head]) => `${layer + 1}.${head + 1}`);
  const more = off.length > MOST_NAMED ? ` and ${off.length - MOST_NAMED} more` : "";
  const heads = off.length === 1 ? "1 head off" : `${off.length} heads off`;
  const mean = instead === "mean" ? ", mean instead" : "";
  return `${heads} (layer.head ${names.join(", ")}${more}${mean})`;
}
