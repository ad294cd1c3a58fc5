"""How long the vector is that a head adds to the stream when it reads one token and nothing else.

Kobayashi et al. (2020), "Attention is Not Only a Weight" (arXiv 2004.10102), without the bias.
Worked out for several tokens of a run at a time: the matrices it takes are megabytes that no cache
holds while text is written, and fetching them for every token took a twentieth of its time.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
# Layers and values (L, H, T, D) to norms (L, H, T).
NormsOf = Callable[[Sequence[int], Floats], Floats]
_TOKENS = 16  # together at the most, so that a run keeps few values


def value_norms(grams: Floats, layers: Sequence[int], values: Floats) -> Floats:
    """Norms (L, H, T) of the values (L, H, T, D) of these layers; `grams` are `value_grams`."""
    # Picking layers copies megabytes, and usually all are watched.
    if list(layers) != list(range(len(grams))):
        grams = grams[list(layers)]
    squares = ((values @ grams) * values).sum(axis=-1)  # (L, H, T)
    norms: Floats = np.sqrt(squares.clip(0))
    return norms


class _Batch:
    """The values of a few passes until somebody asks; from then on their norms."""

    def __init__(self, norms_of: NormsOf, layers: list[int]) -> None:
        self.layers = layers
        self.tokens = 0
        self._norms_of: NormsOf | None = norms_of
        self._values: list[Floats] = []
        self._norms = np.empty((0, 0, 0), np.float32)
        self._lock = threading.Lock()

    def add(self, values: Floats) -> PassNorms:
        """Where these values' norms will be found."""
        with self._lock:
            start = self.tokens
            self.tokens += values.shape[2]
            self._values.append(values)
        return PassNorms(self, slice(start, self.tokens))

    def norms(self) -> Floats:
        """(L, H, T) of all that was added."""
        with self._lock:
            if self._values and self._norms_of:
                new = self._norms_of(self.layers, np.concatenate(self._values, axis=2))
                # Somebody may have asked before the batch was full.
                known = [self._norms] if self._norms.size else []
                self._norms = np.concatenate([*known, new], axis=2)
                self._values = []
            return self._norms

    def end(self) -> None:
        """Nothing more comes: work out the rest, and let go of the model."""
        self.norms()
        self._norms_of = None


class PassNorms(Mapping[int, Floats]):
    """Norms (H, fed) of one pass by layer; computed when one is looked at. Pickles as a dict."""

    def __init__(self, batch: _Batch, tokens: slice) -> None:
        self._batch = batch
        self._tokens = tokens

    def __getitem__(self, layer: int) -> Floats:
        if layer not in self._batch.layers:
            raise KeyError(layer)
        place = self._batch.layers.index(layer)
        return self._batch.norms()[place, :, self._tokens]

    def __iter__(self) -> Iterator[int]:
        return iter(self._batch.layers)

    def __len__(self) -> int:
        return len(self._batch.layers)

    def __reduce__(self) -> tuple[type[dict[int, Floats]], tuple[dict[int, Floats]]]:
        return dict, (dict(self),)


class LazyNorms:
    """What `Event.norms` are made with, of one run."""

    def __init__(self, norms_of: NormsOf) -> None:
        self._norms_of = norms_of
        self._batch: _Batch | None = None

    def __call__(self, layers: Sequence[int], values: Floats) -> Mapping[int, Floats]:
        """The norms of the values (L, H, fed, D) of some layers."""
        if self._batch is None or self._batch.layers != list(layers):
            self.close()
            self._batch = _Batch(self._norms_of, list(layers))
        batch = self._batch
        norms = batch.add(values)
        if batch.tokens >= _TOKENS:
            self.close()
        return norms

    def close(self) -> None:
        """The run ends: whoever keeps its norms must not keep the model in memory with them."""
        if self._batch is not None:
            self._batch.end()
            self._batch = None
