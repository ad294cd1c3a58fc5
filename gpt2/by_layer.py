"""Arrays of several layers, by layer, that lie in one block: one operation works on all of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt
from torch import Tensor

Floats = npt.NDArray[np.float32]
Array = TypeVar("Array", Tensor, Floats)


class ByLayer(Mapping[int, Array], Generic[Array]):
    """`block` (L, ...) as a mapping from `layers` to (...)."""

    def __init__(self, layers: Sequence[int], block: Array) -> None:
        self.block: Array = block
        self._places = {layer: place for place, layer in enumerate(layers)}

    def __getitem__(self, layer: int) -> Array:
        array: Array = self.block[self._places[layer]]
        return array

    def __iter__(self) -> Iterator[int]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


def in_numpy(arrays: Mapping[int, Tensor]) -> Mapping[int, Floats]:
    """The same in numpy; one block stays one."""
    if isinstance(arrays, ByLayer):
        return ByLayer(list(arrays), arrays.block.float().cpu().numpy())
    return {layer: array.float().cpu().numpy() for layer, array in arrays.items()}


def stacked(arrays: Mapping[int, Floats]) -> Floats:
    """(L, ...): the block, if there is one."""
    if isinstance(arrays, ByLayer):
        block: Floats = arrays.block
        return block
    return np.stack(list(arrays.values()))
