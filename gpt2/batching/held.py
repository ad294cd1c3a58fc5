"""Steps of a watched text that wait for their attention rows, worked out for several at a time.

A pass attends with the fused kernel, watched or not, and leaves its queries here; with the keys in
the cache they give the rows. For a few tokens together that takes little longer than for one.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import torch
from torch import Tensor

from gpt2.generation import Step
from gpt2.model import SlotCache, attention_weights

_TOKENS = 16  # together at the most
_SECONDS = 0.04  # from one time to the next: 25 pictures a second


@dataclass(frozen=True, slots=True)
class Watched:
    """A pass over one token: what was chosen, and by layer its query and value (H, 1, D)."""

    token: int
    queries: dict[int, Tensor]
    values: dict[int, Tensor]


class HeldSteps:
    """Those of the text in one slot."""

    def __init__(self, cache: SlotCache, slot: int) -> None:
        self._cache = cache
        self._slot = slice(slot, slot + 1)
        self._passes: list[Watched] = []
        self._told = 0.0

    def fits(self, passed: Watched) -> bool:
        """Whether the same layers were watched as in those that are held."""
        return not self._passes or self._passes[0].queries.keys() == passed.queries.keys()

    def add(self, passed: Watched) -> bool:
        """Hold one more; whether it is time to tell them."""
        self._passes.append(passed)
        late = time.monotonic() - self._told >= _SECONDS
        return late or len(self._passes) >= _TOKENS

    def take(self, read: int) -> list[Step]:
        """All that are held, with their rows; the slot has `read` tokens, theirs the last."""
        passes, self._passes = self._passes, []
        if not passes:
            return []
        first = read - len(passes)
        rows = {
            layer: self._rows(layer, [passed.queries[layer] for passed in passes], read)
            for layer in passes[0].queries
        }
        steps = []
        for i, passed in enumerate(passes):
            seen = {n: w.narrow(1, i, 1).narrow(2, 0, first + i + 1) for n, w in rows.items()}
            steps.append(Step(passed.token, 1, seen, values=passed.values))
        self._told = time.monotonic()
        return steps

    def _rows(self, layer: int, queries: list[Tensor], read: int) -> Tensor:
        """(H, fed, S) of the last tokens."""
        q = torch.cat(queries, dim=1)[None]  # (1, H, fed, D)
        keys = self._cache.keys[layer][self._slot].narrow(2, 0, read)  # (1, H, S, D)
        return attention_weights(q, keys)[0]
