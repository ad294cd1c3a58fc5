"""Keys and values of the tokens already read: a new token costs one row, not a square."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from gpt2.config import GPT2Config


class Cache(Protocol):
    """What a pass needs to know of the tokens before it.

    `extend` hands back whatever the pass's `attend` reads: here all keys and values of each text,
    in `gpt2.model.ragged` those of every slot.
    """

    @property
    def length(self) -> int:
        """Tokens read before; of several texts, the longest one's."""

    def places(self, fed: int) -> slice | Tensor:
        """Where the fed tokens stand: one stretch (T), or a place for each text (B, 1)."""

    def extend(self, layer: int, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Store k and v (B, H, T, D) of `layer`; return what to attend to."""

    def advance(self, fed: int) -> None:
        """Count the `fed` tokens that every layer has now stored."""


class NoCache:
    """Remembers nothing: every token attended to is fed in the same call."""

    length = 0

    def places(self, fed: int) -> slice:
        return slice(0, fed)

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

    def places(self, fed: int) -> slice:
        """Where the next `fed` tokens stand."""
        return slice(self.length, self.length + fed)

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

    def rewind(self, length: int) -> None:
        """Forget what was read after the first `length` tokens, as if it had never been fed.

        Raises ValueError when there are not so many.
        """
        if not 0 <= length <= self.length:
            raise ValueError(f"the cache holds {self.length} tokens and cannot keep {length}")
        self.length = length
