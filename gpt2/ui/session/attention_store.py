"""Every head's rows of one text, a byte a weight, within what this server keeps of all texts."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby

import numpy as np

from gpt2.engine import Engine, Event, Off
from gpt2.inference.layer_stack import stacked
from gpt2.interpret.rollout import Rollout
from gpt2.interpret.row_codec import Levels, Weights, to_levels
from gpt2.ui.session.attention_budget import SERVER_BUDGET, CaptureBudget

_TOGETHER = 16  # rows at the most, so that their floats take little room
# By layer (H, fed), which may be worked out only when asked for, and a token's place in it.
Norms = tuple[Mapping[int, Weights], int]


class Capture:
    """Rows by token: row i is (L, H, i + 1), and (L, H) says how much a token offers each head.

    Rows may be missing: nobody watched, or other texts needed the room. `rebuild` makes them anew.
    """

    def __init__(self, layers: int, heads: int, budget: CaptureBudget = SERVER_BUDGET) -> None:
        self.layers, self.heads = layers, heads
        self._budget = budget
        self._lock = threading.Lock()
        self._rows: list[Levels | None] = []
        self._norms: list[Norms | None] = []
        self._bytes = 0
        self.rollout = Rollout(layers)

    def add(self, first: int, events: Iterable[Event]) -> None:
        """What passes over the tokens from `first` on saw; none of it where a layer is missing.

        A row that is there already stays.
        """
        for alone, group in groupby(events, self._is_one_token):
            passes = list(group)
            # Some at a time, as there may be as many as a slow browser has let pile up.
            count = _TOGETHER if alone else 1
            for some in (passes[n : n + count] for n in range(0, len(passes), count)):
                if alone:
                    self._add_tokens(first, some)
                elif len(some[0].attention) == self.layers:
                    self._add_piece(first, some[0])
                first += sum(event.fed for event in some)

    def _is_one_token(self, event: Event) -> bool:
        return event.fed == 1 and len(event.attention) == self.layers

    def _add_tokens(self, first: int, events: list[Event]) -> None:
        """At once: every operation on an array lets another thread have its turn with Python."""
        ends = range(first + 1, first + len(events) + 1)
        weights = np.zeros((self.layers, self.heads, len(events), ends[-1]), np.float32)
        for i, event in enumerate(events):
            weights[:, :, i, : ends[i]] = stacked(event.attention)[:, :, 0]
        levels = to_levels(weights)
        rows = [levels[:, :, i, :end] for i, end in enumerate(ends)]
        self._put(first, rows, [norms for event in events for norms in self._norms_of(event)])

    def _add_piece(self, first: int, event: Event) -> None:
        rows = self._empty(first, event.fed)
        for layer, weights in event.attention.items():
            levels = to_levels(weights)
            for i, row in enumerate(rows, first):
                row[layer] = levels[:, i - first, : i + 1]
        self._put(first, rows, self._norms_of(event))

    def _norms_of(self, event: Event) -> list[Norms | None]:
        norms_by_layer = len(event.norms) == self.layers
        return [(event.norms, t) if norms_by_layer else None for t in range(event.fed)]

    def rebuild(
        self,
        engine: Engine,
        ids: Sequence[int],
        off: Off = (),
        swapped: tuple[int, int] | None = None,
    ) -> None:
        """All rows of `ids`, by one pass without heads in `off` and, where two are given, with
        these positions swapped. Raises what `Engine.read` does."""
        rows = self._empty(0, len(ids))
        norms = np.empty((self.layers, self.heads, len(ids)), np.float32)

        def see(layer: int, first: int, weights: Weights, lengths: Weights) -> None:
            end = first + lengths.shape[1]
            norms[layer, :, first:end] = lengths
            levels = to_levels(weights)
            for i in range(first, end):
                rows[i][layer] = levels[:, i - first, : i + 1]

        engine.read(ids, see, off, swapped)
        norms_by_layer = dict(enumerate(norms))
        self._put(0, rows, [(norms_by_layer, i) for i in range(len(ids))])

    def rows(self, start: int, stop: int) -> list[Levels] | None:
        """Rows `start` to `stop`, or None when any is missing."""
        with self._lock:
            rows = [row for row in self._rows[start:stop] if row is not None]
        return rows if len(rows) == max(0, stop - start) else None

    def norms(self, stop: int, layer: int, head: int) -> Weights | None:
        """What the first `stop` tokens offer a head (stop,), or None when any is unknown."""
        with self._lock:
            norms = [each for each in self._norms[:stop] if each is not None]
        if len(norms) != stop:
            return None
        return np.array([norms_by_layer[layer][head, t] for norms_by_layer, t in norms], np.float32)

    @property
    def size_bytes(self) -> int:
        """What the rows take, and what a rollout over them does."""
        return self._bytes + self.rollout.nbytes

    def touch(self) -> None:
        """It is looked at: others are dropped before it."""
        self._budget.use(self)

    def clear(self) -> None:
        """Give the room back."""
        with self._lock:
            self._rows, self._norms, self._bytes = [], [], 0
        self.rollout.clear()

    def _empty(self, first: int, count: int) -> list[Levels]:
        ends = range(first + 1, first + count + 1)
        return [np.empty((self.layers, self.heads, end), np.uint8) for end in ends]

    def _put(self, first: int, rows: list[Levels], norms: Sequence[Norms | None]) -> None:
        with self._lock:
            end = first + len(rows)
            missing = max(0, end - len(self._rows))
            self._rows += [None] * missing
            self._norms += [None] * missing
            for i in range(first, end):
                if self._rows[i] is None:
                    self._rows[i] = rows[i - first]
                    self._bytes += rows[i - first].nbytes
                if self._norms[i] is None:
                    self._norms[i] = norms[i - first]
        self.touch()
