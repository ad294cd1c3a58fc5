"""Steps of a watched text that wait for their attention rows, worked out for several at a time.

A pass attends with the fused kernel, watched or not, and leaves its queries here; with the keys in
the cache they give the rows. For a few tokens together that takes little longer than for one.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import torch
from torch import Tensor

from gpt2.by_layer import ByLayer
from gpt2.generation import Step
from gpt2.model import SlotCache, causal_softmax

_TOKENS = 16  # together at the most
_SECONDS = 0.04  # from one time to the next: 25 pictures a second


@dataclass(frozen=True, slots=True)
class Watched:
    """A pass over one token: what was chosen, and by layer its query (H, 1, D)."""

    token: int
    queries: dict[int, Tensor]


class HeldSteps:
    """Those of the text in one slot."""

    def __init__(self, cache: SlotCache, slot: int) -> None:
        self._cache = cache
        self._slot = slot
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
        layers = list(passes[0].queries)
        rows = self._rows(layers, passes, read)
        values = torch.stack(
            [self._cache.values[layer][self._slot, :, first:read] for layer in layers]
        )
        steps = []
        for i, passed in enumerate(passes):
            seen = ByLayer(layers, rows[:, :, i : i + 1, : first + i + 1])
            offered = ByLayer(layers, values[:, :, i : i + 1])
            steps.append(Step(passed.token, 1, seen, values=offered))
        self._told = time.monotonic()
        return steps

    def _rows(self, layers: list[int], passes: list[Watched], read: int) -> Tensor:
        """`attention_weights` (L, H, T, S) of the T tokens, in one block for all layers."""
        asked = torch.cat([q for passed in passes for q in passed.queries.values()], dim=1)
        heads, _, width = asked.shape
        # (L, H, T, D)
        asked = asked.view(heads, len(passes), len(layers), width).permute(2, 0, 1, 3)
        asked = asked / math.sqrt(width)
        scores = asked.new_empty(len(layers), heads, len(passes), read)
        for q, layer, out in zip(asked, layers, scores, strict=True):
            keys = self._cache.keys[layer][self._slot, :, :read]  # (H, S, D)
            torch.bmm(q, keys.mT, out=out)
        return causal_softmax(scores)
