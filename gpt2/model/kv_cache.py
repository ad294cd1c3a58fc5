"""Keys and values of the tokens already read: a new token costs one row, not a square."""

from __future__ import annotations

import torch
from torch import Tensor

from gpt2.config import GPT2Config


class NoCache:
    """Remembers nothing: every token attended to is fed in the same call."""

    length = 0

    def extend(self, layer: int, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        return k, v

    def advance(self, fed: int) -> None:
        pass


NO_CACHE = NoCache()


class KVCache:
    """Room for `capacity` tokens of `batch` texts. One per request; never shared.

    A block calls `extend` with its new keys and values and gets all of them back. The model calls
    `advance` once, when every block is done: an interrupted pass leaves the cache as it was.
    """

    def __init__(
        self,
        config: GPT2Config,
        capacity: int,
        batch: int = 1,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> None:
        shape = (config.num_blocks, batch, config.num_heads, capacity, config.hidden_dimension)
        self.keys = torch.empty(shape, dtype=dtype, device=device)
        self.values = torch.empty(shape, dtype=dtype, device=device)
        self.capacity = capacity
        self.length = 0

    def extend(self, layer: int, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Store k and v (B, H, T, D) of `layer`; return all keys and values (B, H, S, D).

        Raises ValueError when they do not fit.
        """
        end = self.length + k.size(-2)
        if end > self.capacity:
            raise ValueError(f"the cache has room for {self.capacity} tokens, not {end}")
        self.keys[layer, :, :, self.length : end] = k
        self.values[layer, :, :, self.length : end] = v
        return self.keys[layer, :, :, :end], self.values[layer, :, :, :end]

    def advance(self, fed: int) -> None:
        """Count the `fed` tokens that every layer has now stored."""
        self.length += fed
