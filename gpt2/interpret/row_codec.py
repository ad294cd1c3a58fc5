"""Attention rows as one byte a weight, and back.

Much of a row often rests on the first token, so a row (n) is split: byte 0 tells which part of it
is kept for the others, bytes 1 to n - 1 how that part is shared out among them. Each byte is
round(255 sqrt(share)): the square root keeps small shares apart, and what a head reads beside its
resting place stays sharp however little that is.

A rounded root is off by at most 1/510, so a share by at most 1/255 of its root. What a row then
lacks or has too much of 1 is taken from its shares in just that proportion: every row sums to 1,
no share is negative, and no weight is off by more than 0.012; most are by less than 0.004.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Levels = npt.NDArray[np.uint8]
Weights = npt.NDArray[np.float32]

_MOST = np.float32(255**2)
_ROOTS: Weights = (np.arange(256) / 255).astype(np.float32)


def to_levels(rows: Weights) -> Levels:
    """Rows (..., n) that sum to 1, as bytes of the same shape."""
    kept = rows[..., 1:].sum(axis=-1, keepdims=True)
    # In place: what a token's rows take is large enough for every copy to be felt.
    roots = rows * (_MOST / np.maximum(kept, np.float32(1e-12)))
    roots[..., :1] = _MOST * np.minimum(kept, 1)
    np.sqrt(roots, out=roots)
    roots += np.float32(0.5)  # and cut off: rounds, in one step less
    levels: Levels = roots.astype(np.uint8)
    return levels


def to_weights(levels: Levels) -> Weights:
    """Bytes (..., n) as rows that sum to 1."""
    rows: Weights = _ROOTS[levels]
    roots = rows[..., 1:]
    total = roots.sum(axis=-1, keepdims=True)
    kept = np.where(total > 0, rows[..., :1] ** 2, np.float32(0))
    excess = (roots * roots).sum(axis=-1, keepdims=True) - 1
    roots *= kept * (roots - excess / np.maximum(total, np.float32(1e-12)))
    rows[..., :1] = 1 - kept
    return rows


def to_plain_levels(rows: Weights) -> Levels:
    """Rows of weights 0 to 1 that do not sum to 1, a maximum over heads say: 255 sqrt(weight)."""
    levels: Levels = np.rint(255 * np.sqrt(np.clip(rows, 0, 1))).astype(np.uint8)
    return levels
