"""Twins with weights in float16; sums and outputs stay float32, and inputs, but on a GPU.

Half the bytes of float32 and nearly its results: a float16 has 11 bits where bfloat16 has 8, and
weights never leave its range. A row has the same bits alone and in any batch.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from gpt2.quantization.kernels import float16_product, pack_float16, unpack_float16


class Float16Linear(nn.Module):
    """y = x W' + b for x (N, ..., in) float32."""

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        super().__init__()
        self.packed = pack_float16(weight, bias)

    @property
    def weight(self) -> Tensor:
        """W (out, in) as float32, made anew: for those who look at it, not for computing."""
        return unpack_float16(self.packed)

    def forward(self, x: Tensor) -> Tensor:
        return float16_product(x, self.packed)


class Float16TokenEmbedding(nn.Module):
    """Row i is token i; the head is the same matrix, its output in float32.

    The mean row is kept apart in float32: it carries the offset near -100 that GPT-2's logits
    share, which would take most of a float16's digits.
    """

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.mean = weight.mean(0)
        self.rows = (weight - self.mean).half()
        self.head = Float16Linear(weight - self.mean, None)

    def forward(self, input_ids: Tensor) -> Tensor:
        """Ids (B, T) to embeddings (B, T, C)."""
        return F.embedding(input_ids, self.rows).float() + self.mean

    def logits(self, x: Tensor) -> Tensor:
        """How well x (..., C) matches every token: (..., V)."""
        y: Tensor = self.head(x)
        return y + (x * self.mean).sum(-1, keepdim=True)
