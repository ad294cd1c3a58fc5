"""Arrays of several layers, by layer, that lie in one block: one operation works on all of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]


class LayerStack(Mapping[int, Floats]):
    """`block` (L, ...) as a mapping from `layers` to (...)."""

    def __init__(self, layers: Sequence[int], block: Floats) -> None:
        self.block = block
        self._index = {layer: i for i, layer in enumerate(layers)}

    def __getitem__(self, layer: int) -> Floats:
        array: Floats = self.block[self._index[layer]]
        return array

    def __iter__(self) -> Iterator[int]:
        return iter(self._index)

    def __len__(self) -> int:
        return len(self._index)


def stacked(arrays: Mapping[int, Floats]) -> Floats:
    """(L, ...): the block itself, where there is one."""
    return arrays.block if isinstance(arrays, LayerStack) else np.stack(list(arrays.values()))
