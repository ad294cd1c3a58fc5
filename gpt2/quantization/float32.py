"""Twins that round nothing: the same float32 weights, laid out as the kernel reads them.

PyTorch's plain product of a row and a float32 matrix reaches half of what memory gives, and of many
rows a third of what packed ones do (`python -m gpt2 bench`).
"""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from gpt2.quantization.kernels import float32_product, pack_float32, unpack_float32


class Float32Linear(nn.Module):
    """y = x W' + b for x (..., in)."""

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        super().__init__()
        self.packed = pack_float32(weight)
        self.bias = bias

    @property
    def weight(self) -> Tensor:
        """W (out, in), made anew: for those who look at it, not for computing."""
        return unpack_float32(self.packed)

    def forward(self, x: Tensor) -> Tensor:
        return float32_product(x, self.packed, self.bias)

    def __getstate__(self) -> dict[str, Any]:
        """Copies and pickles are made of the weights: oneDNN's layout cannot be written down."""
        return {**self.__dict__, "packed": self.weight}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state, packed=pack_float32(state["packed"]))


class Float32TokenEmbedding(nn.Module):
    """Row i of `weight` (V, C) is token i; the head is the same matrix, packed."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.weight = weight
        self.head = Float32Linear(weight, None)

    def forward(self, input_ids: Tensor) -> Tensor:
        """Ids (B, T) to embeddings (B, T, C)."""
        return F.embedding(input_ids, self.weight)

    def logits(self, x: Tensor) -> Tensor:
        """How well x (..., C) matches every token: (..., V)."""
        y: Tensor = self.head(x)
        return y
