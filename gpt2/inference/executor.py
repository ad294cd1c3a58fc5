"""What makes the passes: rows in, logits and whatever is watched out. NumPy is all that crosses.

A row is (id, position, slot). It writes its key and value at its position of its slot and attends
to positions 0 to `position` there. Several visitors' tokens, a piece of a prompt and a draft's
guesses to be checked are therefore one call, and truncating a text takes nothing at all: a later
row overwrites what stood there.

Shapes: N rows, K of them with logits, H heads, D width of a head, C embedding width, V vocabulary,
L layers, S positions attended to.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt

from gpt2.config import GPT2Config

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
Head = tuple[int, int]  # (layer, head)
Site = tuple[int, int]  # (layer, position)


@dataclass(frozen=True, slots=True)
class Watch:
    """What a pass hands out beside the logits, and what it changes.

    Handing out changes no bit of the text, and what nobody asks for costs nothing.
    """

    attention: Mapping[int, Collection[int]] = field(default_factory=dict)
    """By slot, the layers whose attention weights and values to hand out."""
    residual: bool = False
    """Hand out the residual stream of every row."""
    heads: bool = False
    """Hand out what every head of every row found."""
    heads_off: Mapping[int, Mapping[Head, Floats | None]] = field(default_factory=dict)
    """By slot, what takes the place of a head's output: (D,) at every position, or (positions, D)
    with a row for each, or None for zeros."""
    positions: Mapping[int, Mapping[int, int]] = field(default_factory=dict)
    """By slot, the position whose embedding stands in for another's."""
    stream: Mapping[int, Mapping[Site, Floats]] = field(default_factory=dict)
    """By slot, what takes the place of the residual stream (C,) that enters a layer at a
    position."""


NOTHING = Watch()


@dataclass(frozen=True, slots=True)
class Pass:
    """What one pass computed."""

    logits: Floats
    """(K, V), of the rows asked for, in the order they were asked for."""
    attention: Mapping[int, Mapping[int, Floats]] = field(default_factory=dict)
    """slot -> layer -> weights (H, rows of the slot, S), S one more than the slot's last position
    in this pass, and zero beyond a row's own position. A `LayerStack` where many are watched."""
    values: Mapping[int, Mapping[int, Floats]] = field(default_factory=dict)
    """slot -> layer -> (H, rows of the slot, D), for the same slots and layers."""
    residual: Floats | None = None
    """(N, 2 L + 1, C): the embeddings, then the stream after each attention and each MLP."""
    heads: Floats | None = None
    """(N, L, H, D): weights times values, before the output projection. What stands in for a head
    that is switched off is not shown: this is what the head itself found."""


class Executor(Protocol):
    """A model in memory with room for `slots` texts. One thread at a time may call it."""

    @property
    def config(self) -> GPT2Config:
        """The model's shape."""

    @property
    def precision(self) -> str:
        """In which numbers it computes: `float32`, `float16`, `int8`, `int4`."""

    @property
    def slots(self) -> int:
        """How many texts it holds, numbered from 0."""

    @property
    def value_grams(self) -> Floats:
        """W' W of each head's part W (C, D) of the output projection: (L, H, D, D).

        A value v adds W v to the residual stream, so v' W' W v is its squared length there.
        """

    def run(
        self, ids: Ints, positions: Ints, slots: Ints, wanted: Ints, watch: Watch = NOTHING
    ) -> Pass:
        """One pass over rows (N,), with logits of those whose indices are in `wanted` (K,).

        Rows of one slot stand together, at consecutive positions, ascending. A row's numbers are
        the same to the last bit whatever other rows are in the call.
        """

    def forget(self) -> None:
        """No slot holds a text any more: the memory of keys and values may be given back."""

    def close(self) -> None:
        """Give everything back; `run` must not be called again."""
