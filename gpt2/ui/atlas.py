"""All heads small: rows and maps pooled by maximum, so that thin stripes survive, at 16 levels.

A head's row i becomes 1 + ceil((i + 1) / pool) numbers: how much rests on the first token, then the
largest shares of the rest in bins of `pool` tokens. `pool` doubles whenever the text outgrows the
bins, so the browser can pool what it has in the same way.
"""

from __future__ import annotations

import numpy as np

from gpt2.levels import Levels

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


def pooled_row(row: Levels, pool: int) -> Levels:
    """Row i of all heads (L, H, i + 1), as (L, H, 1 + ceil((i + 1) / pool)) levels 0 to 15."""
    *shape, count = row.shape
    bins = -(-count // pool)
    padded = np.zeros((*shape, bins * pool), np.uint8)
    padded[..., 1:count] = row[..., 1:]
    small = np.empty((*shape, 1 + bins), np.uint8)
    small[..., 0] = np.rint(15 * np.sqrt(1 - (row[..., 0] / np.float32(255)) ** 2))
    most = padded
    while most.shape[-1] > bins:  # numpy is slow to reduce over an axis as short as a pool
        most = np.maximum(most[..., ::2], most[..., 1::2])
    small[..., 1:] = (most.astype(np.uint16) + 8) // 17
    return small


def pooled_map(rows: list[Levels], bins: int) -> Levels:
    """The thumbnails of a text of n rows: (L, H, m, 1 + m) levels, m = ceil(n / pool)."""
    pool = pool_for(len(rows), bins)
    side = -(-len(rows) // pool)
    layers, heads, _ = rows[0].shape
    maps = np.zeros((layers, heads, side, 1 + side), np.uint8)
    for i, row in enumerate(rows):
        small = pooled_row(row, pool)
        part = maps[:, :, i // pool, : small.shape[-1]]
        np.maximum(part, small, out=part)
    return maps


def pack_nibbles(levels: Levels) -> bytes:
    """Two levels 0 to 15 a byte, the first in the high half; an odd end is filled with 0."""
    flat = levels.reshape(-1)
    if flat.size % 2:
        flat = np.append(flat, np.uint8(0))
    packed: bytes = (flat[::2] << 4 | flat[1::2]).tobytes()
    return packed


def packed_rows(rows: list[Levels], bins: int) -> bytes:
    """Rows as a running text sends them, each pooled for the length the text then has."""
    pools = (pool_for(row.shape[-1], bins) for row in rows)
    return b"".join(pack_nibbles(pooled_row(row, p)) for row, p in zip(rows, pools, strict=True))
