"""Attention rollout (Abnar & Zuidema 2020, arXiv 2005.00928): what reaches the top from where.

Per layer, half of a token's stream is its own and half is what its heads read on average:
R_0 = I, R_l = (A_l / 2 + I / 2) R_l-1. The last R is the map. Causal, so row i never changes.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np

from gpt2.interpret.row_codec import Levels, Weights, to_weights

_BLOCK = 64  # rows advanced by one product


class Rollout:
    """The matrices R_1 ... R_L of one text, grown as rows come."""

    def __init__(self, layers: int) -> None:
        self._layers = layers
        self._lock = threading.Lock()
        self.clear()

    def clear(self) -> None:
        """Start again from no rows."""
        with self._lock:
            self._matrices: Weights = np.zeros((self._layers, 0, 0), np.float32)
            self.ready = 0

    @property
    def nbytes(self) -> int:
        """The memory it takes."""
        return self._matrices.nbytes

    def rows(
        self, start: int, stop: int, heads: Callable[[int, int], list[Levels] | None]
    ) -> list[Weights] | None:
        """Rows `start` to `stop` of the map, (i + 1) each, summing to 1.

        `heads(a, b)` gives all heads' rows a to b (L, H, i + 1), or None when it cannot: then so
        does this.
        """
        with self._lock:
            if self.ready < stop:
                fresh = heads(self.ready, stop)
                if fresh is None:
                    return None
                self._make_room(stop)
                for at in range(0, len(fresh), _BLOCK):
                    self._block(fresh[at : at + _BLOCK])
            return [self._matrices[-1, i, : i + 1] for i in range(start, stop)]

    def _block(self, rows: list[Levels]) -> None:
        start, end = self.ready, self.ready + len(rows)
        half = np.zeros((self._layers, len(rows), end), np.float32)
        for t, row in enumerate(rows):
            half[:, t, : row.shape[-1]] = to_weights(row).mean(axis=1) / 2
        below = np.eye(end, dtype=np.float32)
        for layer in range(self._layers):
            here = self._matrices[layer]
            here[start:end, :end] = half[layer] @ below[:end] + below[start:end] / 2
            below = here[:end, :end]
        self.ready = end

    def _make_room(self, count: int) -> None:
        have = self._matrices.shape[1]
        if count > have:
            room = max(count, min(2 * have, 1024), 64)
            grown = np.zeros((self._layers, room, room), np.float32)
            grown[:, :have, :have] = self._matrices
            self._matrices = grown
