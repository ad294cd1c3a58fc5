"""One new token for each of several texts of different lengths, in one pass.

Everything but attention is one matrix product for all of them. Attention is computed text by text,
each over its own keys: nothing is padded, and a text's numbers are the same to the last bit whoever
else is in the batch.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from gpt2.model.attention import newest_attention
from gpt2.model.slots import SlotCache


class RaggedBatch:
    """The cache and the attention of passes over one token (N, 1) of each of `slots`.

    `lengths` counts the tokens each slot holds. `spare` more rows attend to nothing. Of the layers
    that text n wants, `watched[n]`, the new token's weights (H, 1, S) are left in `seen[n]`.
    """

    def __init__(
        self, cache: SlotCache, slots: Sequence[int], lengths: Sequence[int], spare: int = 0
    ) -> None:
        self.slots = list(slots)
        self.lengths = list(lengths)
        self.spare = spare
        self._cache = cache
        self._device = cache.keys[0].device
        _, heads, context, _ = cache.keys[0].shape
        first = torch.tensor(self.slots, device=self._device)[:, None] * heads
        first = first + torch.arange(heads, device=self._device)
        self._first = first * context  # (N, H): the row of a head's first token
        # Views that every pass needs, made once: by layer, and of each text.
        self._held = [
            [(k[slot], v[slot]) for slot in self.slots]
            for k, v in zip(cache.keys, cache.values, strict=True)
        ]
        self._flat = [
            [held.view(-1, held.size(-1)) for held in both]
            for both in zip(cache.keys, cache.values, strict=True)
        ]
        self.watch([()] * len(self.slots))
        self._aim()

    def watch(self, watched: Sequence[Collection[int]]) -> None:
        """Which layers each text's next pass is to keep; empties `seen`."""
        self.watched = watched
        self.seen: list[dict[int, Tensor]] = [{} for _ in self.slots]

    @property
    def length(self) -> int:
        return max(self.lengths)

    def places(self, fed: int) -> Tensor:
        return self._places  # (N + spare, 1)

    def extend(self, layer: int, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Store k and v (N + spare, H, 1, D); return what all slots hold, for `attend`."""
        for held, new in zip(self._flat[layer], (k, v), strict=True):
            own = new[: len(self.slots)] if self.spare else new
            held.index_copy_(0, self._rows, own.reshape(-1, held.size(-1)))
        return self._cache.keys[layer], self._cache.values[layer]

    def advance(self, fed: int) -> None:
        self.lengths = [length + fed for length in self.lengths]
        self._aim()

    def attend(self, q: Tensor, k: Tensor, v: Tensor, layer: int) -> Tensor:
        """q (N + spare, H, 1, D) to the same shape; k and v are what `extend` returned."""
        heads = [self._attend_one(n, q[n], layer) for n in range(len(self.slots))]
        if len(heads) == 1 == len(q):
            return heads[0][None]
        heads += [torch.zeros_like(heads[0])] * self.spare
        return torch.stack(heads)

    def _attend_one(self, n: int, query: Tensor, layer: int) -> Tensor:
        keys, values = (held.narrow(1, 0, self.lengths[n] + 1) for held in self._held[layer][n])
        y, weights = newest_attention(query, keys, values)
        if layer in self.watched[n]:
            self.seen[n][layer] = weights
        return y

    def _aim(self) -> None:
        """Where the new tokens stand, and which rows of the cache take their keys and values."""
        lengths = torch.tensor(self.lengths, device=self._device)[:, None]  # (N, 1)
        self._places = F.pad(lengths, (0, 0, 0, self.spare))
        self._rows = (self._first + lengths).flatten()
