// Made from gpt2/ui/page/schema.py by python -m gpt2.ui.page.schema; change it there.

/** The maps there are. */
export const MODES = {
  "head": {
    "name": "One head",
    "help": ""
  },
  "value": {
    "name": "One head, value-weighted",
    "help": "Each weight times the length of the vector it passes on, as a share of the row (Kobayashi et al. 2020)."
  },
  "mean": {
    "name": "Layer, mean",
    "help": "The mean over the heads of this layer."
  },
  "max": {
    "name": "Layer, maximum",
    "help": "The largest weight any head of this layer gives: such rows do not sum to 100 %."
  },
  "all_mean": {
    "name": "All heads, mean",
    "help": "The mean over all heads of all layers."
  },
  "all_max": {
    "name": "All heads, maximum",
    "help": "The largest weight any head of any layer gives: such rows do not sum to 100 %."
  },
  "rollout": {
    "name": "Rollout",
    "help": "Attention rollout: what reaches the last layer when every layer passes on half of a token's own stream and half of what its heads read on average (Abnar & Zuidema 2020)."
  }
};

/** Maps of one head. */
export const HEAD_MODES = [
  "head",
  "value"
];

/** Maps of one layer. */
export const LAYER_MODES = [
  "mean",
  "max"
];

/** Maps whose rows are weights as such and need not sum to 1. */
export const PLAIN_MODES = [
  "max",
  "all_max"
];

/** Roles a head can be named after; the mark stands in the atlas. */
export const ROLES = {
  "previous": {
    "name": "Previous token",
    "mark": "P",
    "help": "how much of a row goes to the token just before, on average (HeadVis)",
    "formula": "mean of A[i, i−1]"
  },
  "self": {
    "name": "Itself",
    "mark": "S",
    "help": "how much goes to the token itself (HeadVis)",
    "formula": "mean of A[i, i]"
  },
  "first": {
    "name": "First token",
    "mark": "F",
    "help": "how much goes to the first token, the attention sink (Gu et al. 2024, arXiv 2410.10781)",
    "formula": "mean of A[i, 0]"
  },
  "duplicate": {
    "name": "Duplicate",
    "mark": "D",
    "help": "how much goes to earlier copies of the token, where it has any (TransformerLens)",
    "formula": "mean of Σ A[i, j] over the copies j, in the rows i that have one"
  },
  "induction": {
    "name": "Induction",
    "mark": "I",
    "help": "how much goes to what followed earlier copies: the head looks up how the text went on last time (Olsson et al. 2022, arXiv 2209.11895)",
    "formula": "mean of Σ A[i, j+1] over the same copies j and rows i"
  }
};

/** Scores that name nothing. */
export const MEASURES = {
  "previous_of_rest": {
    "name": "Previous (without first and self)",
    "help": "the token before, as a share of what is neither first token nor self (TransformerLens)",
    "formula": "Σ A[i, i−1] / Σ A[i, j], both over 0 < j < i"
  },
  "effective": {
    "name": "Effective tokens",
    "help": "over how many tokens a row is spread: e to the power of its mean entropy (HeadVis)",
    "formula": "e^H, H the mean of −Σ A[i, j] ln A[i, j]"
  },
  "distance": {
    "name": "Mean distance",
    "help": "how many tokens back a row looks on average (after Vig & Belinkov 2019, arXiv 1906.04284)",
    "formula": "mean of Σ A[i, j] (i − j)"
  }
};
