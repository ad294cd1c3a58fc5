"""All heads small: rows and maps pooled by maximum, so that thin stripes survive, at 16 levels.

A head's row i becomes 1 + ceil((i + 1) / pool) numbers: how much rests on the first token, then the
largest shares of the rest in bins of `pool` tokens. `pool` doubles whenever the text outgrows the
bins, so the browser can pool what it has in the same way.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import numpy as np

from gpt2.interpret.row_codec import Levels

_SIXTEEN: Levels = ((np.arange(256) + 8) // 17).astype(np.uint8)
_MANY_HEADS = 400  # from here on fewer bins: a token's rows must stay small on the wire


def bins_for(heads: int) -> int:
    """How many bins a thumbnail has at most, for a model of so many heads in all."""
    return 32 if heads <= _MANY_HEADS else 20


def pool_for(count: int, bins: int) -> int:
    """Tokens per bin once `count` rows are shown: the smallest power of two that fits."""
    pool = 1
    while pool * bins < count:
        pool *= 2
    return pool


def pooled_rows(rows: Sequence[Levels], pool: int) -> Levels:
    """Rows (L, H, i + 1) that have as many bins each, as (n, L, H, 1 + bins) levels 0 to 15."""
    *shape, count = rows[-1].shape
    bins = -(-count // pool)
    most = np.zeros((len(rows), *shape, bins * pool), np.uint8)
    for padded, row in zip(most, rows, strict=True):
        padded[..., : row.shape[-1]] = row
    small = np.empty((len(rows), *shape, 1 + bins), np.uint8)
    small[..., 0] = np.rint(15 * np.sqrt(1 - (most[..., 0] / np.float32(255)) ** 2))
    most[..., 0] = 0
    while most.shape[-1] > bins:  # numpy is slow to reduce over an axis as short as a pool
        most = np.maximum(most[..., ::2], most[..., 1::2])
    small[..., 1:] = _SIXTEEN[most]
    return small


def pooled_map(rows: list[Levels], bins: int) -> Levels:
    """The thumbnails of a text of n rows: (L, H, m, 1 + m) levels, m = ceil(n / pool)."""
    pool = pool_for(len(rows), bins)
    side = -(-len(rows) // pool)
    layers, heads, _ = rows[0].shape
    maps = np.zeros((layers, heads, side, 1 + side), np.uint8)
    for bin_ in range(side):
        small = pooled_rows(rows[bin_ * pool : (bin_ + 1) * pool], pool)
        maps[:, :, bin_, : small.shape[-1]] = small.max(axis=0)
    return maps


def pack_nibbles(levels: Levels) -> bytes:
    """Two levels 0 to 15 a byte, the first in the high half; an odd end is filled with 0.

    Every (n, ...) of `levels` is packed by itself.
    """
    flat = levels.reshape(len(levels), -1)
    if flat.shape[1] % 2:
        flat = np.pad(flat, ((0, 0), (0, 1)))
    packed: bytes = (flat[:, ::2] << 4 | flat[:, 1::2]).tobytes()
    return packed


def packed_rows(rows: list[Levels], bins: int) -> bytes:
    """Rows as a running text sends them, each pooled for the length the text then has."""

    def pooling(row: Levels) -> tuple[int, int]:
        pool = pool_for(row.shape[-1], bins)
        return pool, -(-row.shape[-1] // pool)

    return b"".join(
        pack_nibbles(pooled_rows(list(alike), pool)) for (pool, _), alike in groupby(rows, pooling)
    )
