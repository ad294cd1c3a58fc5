// Which map is looked at: one head's weights, weighted by values, a layer's heads, or all heads.
// The same modes as gpt2/ui/maps.py.

/** @typedef {{mode: string, layer: number, head: number}} MapView */

export const MODES = {
  head: "One head",
  value: "One head, value-weighted",
  mean: "Layer, mean",
  max: "Layer, maximum",
  all_mean: "All heads, mean",
  all_max: "All heads, maximum",
  rollout: "Rollout",
};

const EXPLAINED = {
  head: "",
  value:
    "Each weight times the length of the vector it passes on, as a share of the row " +
    "(Kobayashi et al. 2020).",
  mean: "The mean over the heads of this layer.",
  max: "The largest weight any head of this layer gives: such rows do not sum to 100 %.",
  all_mean: "The mean over all heads of all layers.",
  all_max: "The largest weight any head of any layer gives: such rows do not sum to 100 %.",
  rollout:
    "Attention rollout: what reaches the last layer when every layer passes on half of a token's " +
    "own stream and half of what its heads read on average (Abnar & Zuidema 2020).",
};

export function explain(mode) {
  return EXPLAINED[mode] ?? "";
}

export function needsHead(mode) {
  return mode === "head" || mode === "value";
}

export function needsLayer(mode) {
  return needsHead(mode) || mode === "mean" || mode === "max";
}

/** A maximum's bytes are weights as such: its rows do not sum to 1. */
export function isPlain(mode) {
  return mode === "max" || mode === "all_max";
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
  return where ? `${MODES[mode]}: ${where}` : MODES[mode];
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
