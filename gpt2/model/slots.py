"""Room for several texts of different lengths: each has a slot, and comes and goes by itself."""

from __future__ import annotations

import torch
from torch import Tensor

from gpt2.config import GPT2Config


class SlotCache:
    """Keys and values of up to `slots` texts: by layer, (slots, H, context, D)."""

    def __init__(
        self,
        config: GPT2Config,
        slots: int,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> None:
        shape = (slots, config.num_heads, config.max_seq_len, config.hidden_dimension)
        # Never written in advance, nor read before: memory is taken as texts grow into it.
        self.keys, self.values = (
            [torch.empty(shape, dtype=dtype, device=device) for _ in range(config.num_blocks)]
            for _ in "kv"
        )


class SlotReader:
    """One slot with `length` tokens in it, as the cache of a pass that reads on in its prompt."""

    def __init__(self, cache: SlotCache, slot: int, length: int) -> None:
        self.length = length
        self._cache = cache
        self._slot = slice(slot, slot + 1)

    def places(self, fed: int) -> slice:
        return slice(self.length, self.length + fed)

    def extend(self, layer: int, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Store k and v (1, H, T, D); return all of the slot's."""
        end = self.length + k.size(-2)
        keys, values = (held[layer][self._slot] for held in (self._cache.keys, self._cache.values))
        keys[:, :, self.length : end] = k
        values[:, :, self.length : end] = v
        return keys[:, :, :end], values[:, :, :end]

    def advance(self, fed: int) -> None:
        self.length += fed
