// Which map is looked at: one head's weights, weighted by values, a layer's heads, or all heads.

import { HEAD_MODES, LAYER_MODES, MODES, PLAIN_MODES } from "./schema.js";

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
