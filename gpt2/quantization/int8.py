"""Eight-bit twins: every row of inputs gets a range of its own, so neighbours cannot spoil it.

The kernel quantises a whole matrix with one scale. Each row is therefore mapped to [0, 1] by its
own least and largest value first ("zeropoint vector-wise", Dettmers et al. 2022, table 1), and a
row has the same bits alone and in any batch.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gpt2.quantization.int8_weights import Int8Weights
from gpt2.quantization.kernels import (
    float16_product,
    int8_product,
    pack_float16,
    pack_int8,
    unpack_float16,
    unpack_int8,
)

_NO_SPAN = 1e-30  # instead of 0, for a row of equal values


class Int8Linear(nn.Module):
    """y = x W' + b for x (..., in) float32, from `Int8Weights` and float32 biases."""

    def __init__(self, weights: Int8Weights, bias: Tensor | None) -> None:
        super().__init__()
        values, scale = weights.values, weights.scale
        self.packed = pack_int8(values, scale)
        self.scale = scale
        # What a row's least value, which the kernel never sees, adds for each output.
        self.sums = values.sum(1, dtype=torch.float32) * scale
        bias = torch.zeros_like(scale) if bias is None else bias
        self.bias = bias[None]  # (1, out)
        self.mean = weights.mean if weights.mean.any() else None
        self.outliers = weights.outliers if weights.outliers.numel() else None
        self.columns = pack_float16(weights.columns, bias)

    @property
    def weight(self) -> Tensor:
        """W (out, in) as float32, made anew: for those who look at it, not for computing."""
        weight = unpack_int8(self.packed).float() * self.scale[:, None]
        if self.mean is not None:
            weight += self.mean
        if self.outliers is not None:
            weight[:, self.outliers] += unpack_float16(self.columns)
        return weight

    def forward(self, x: Tensor) -> Tensor:
        rows = x.reshape(-1, x.size(-1))  # (N, in)
        extra = self.bias
        if self.outliers is not None:
            extra = float16_product(rows[:, self.outliers], self.columns)  # (N, out)
            rows = rows.index_fill(1, self.outliers, 0)
        if self.mean is not None:
            # A sum for each row: a product of matrices would depend on how many rows there are.
            extra = extra + (rows * self.mean).sum(1, keepdim=True)
        least, span = _range(rows)
        y = int8_product(_unit(rows, least, span), self.packed)[: rows.size(0)]
        y = torch.addcmul(extra, self.sums, least).addcmul_(y, span)
        return y.view(*x.shape[:-1], -1)


def _range(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Least value and span of every row: (N, 1), or () for a lone row, whose search is faster."""
    if rows.size(0) == 1:
        least, most = rows.aminmax()
    else:
        least, most = rows.amin(1, keepdim=True), rows.amax(1, keepdim=True)
    return least, (most - least).clamp_(min=_NO_SPAN)


def _unit(rows: Tensor, least: Tensor, span: Tensor) -> Tensor:
    """Every row mapped to [0, 1]. A lone one reaches both ends; several get one more that does."""
    count, width = rows.shape
    if count == 1:
        return (rows - least).div_(span)
    unit = rows.new_empty(count + 1, width)
    torch.sub(rows, least, out=unit[:-1]).div_(span)
    unit[-1] = 0
    unit[-1, 0] = 1
    return unit


class Int8TokenEmbedding(nn.Module):
    """Row i is token i; the head is the same matrix, its output in float32."""

    def __init__(self, weights: Int8Weights) -> None:
        super().__init__()
        self.weights = weights
        self.head = Int8Linear(weights, None)

    def forward(self, input_ids: Tensor) -> Tensor:
        """Ids (B, T) to embeddings (B, T, C)."""
        return self.weights.dequantized(input_ids)

    def logits(self, x: Tensor) -> Tensor:
        """How well x (..., C) matches every token: (..., V)."""
        y: Tensor = self.head(x)
        return y
