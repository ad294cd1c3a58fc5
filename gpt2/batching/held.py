"""Steps of a watched text, told several at a time.

Handing one over wakes the threads that follow the run, and those take the CPU from the next pass.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import torch
from torch import Tensor

from gpt2.by_layer import ByLayer
from gpt2.generation import Step
from gpt2.model import SlotCache

_TOKENS = 16  # together at the most
_SECONDS = 0.04  # from one time to the next: 25 pictures a second


@dataclass(frozen=True, slots=True)
class Watched:
    """A pass over one token: what was chosen, and by layer what it looked at, (H, 1, S)."""

    token: int
    attention: dict[int, Tensor]


class HeldSteps:
    """Those of the text in one slot."""

    def __init__(self, cache: SlotCache, slot: int) -> None:
        self._cache = cache
        self._slot = slot
        self._passes: list[Watched] = []
        self._told = 0.0

    def fits(self, passed: Watched) -> bool:
        """Whether the same layers were watched as in those that are held."""
        return not self._passes or self._passes[0].attention.keys() == passed.attention.keys()

    def add(self, passed: Watched) -> bool:
        """Hold one more; whether it is time to tell them."""
        self._passes.append(passed)
        late = time.monotonic() - self._told >= _SECONDS
        return late or len(self._passes) >= _TOKENS

    def take(self, read: int) -> list[Step]:
        """All that are held; the slot has `read` tokens, theirs the last."""
        passes, self._passes = self._passes, []
        if not passes:
            return []
        first = read - len(passes)
        layers = list(passes[0].attention)
        values = torch.stack(
            [self._cache.values[layer][self._slot, :, first:read] for layer in layers]
        )
        self._told = time.monotonic()
        return [
            Step(
                passed.token,
                1,
                ByLayer(layers, torch.stack(list(passed.attention.values()))),
                values=ByLayer(layers, values[:, :, i : i + 1]),
            )
            for i, passed in enumerate(passes)
        ]
