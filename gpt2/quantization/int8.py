"""Eight-bit twins: every row of inputs gets a range of its own, so neighbours cannot spoil it.

Each row is divided by its own largest value first ("vector-wise" quantisation, Dettmers et al.,
2022, section 3), so the kernel has one constant scale for the whole matrix. A text has the same
bits alone and in any batch, and up to FEW_ROWS of its rows the bits of one after the other.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gpt2.quantization.int8_weights import Int8Weights
from gpt2.quantization.kernels import int8_product, pack_int8, unpack_int8

# So many rows of a text have the bits that each has alone: more than a draft ever guesses. Longer
# pieces of a prompt would take a fifteenth longer for it.
FEW_ROWS = 16
_VECTOR = 16  # numbers, in the widest registers
_NOTHING = 1e-30  # instead of 0, for a row of zeros


class Int8Linear(nn.Module):
    """y = x W' + b for x (N, ..., in) float32, from `Int8Weights` and float32 biases.

    `least`, where it is known, is a value that no input is below: then all 256 levels serve the
    inputs above it, where else half of them serve either sign.
    """

    def __init__(
        self, weights: Int8Weights, bias: Tensor | None, least: float | None = None
    ) -> None:
        super().__init__()
        values, scale = weights.values, weights.scale
        self.packed = pack_int8(values, scale)
        self.scale = scale
        self.least = least
        bias = torch.zeros_like(scale) if bias is None else bias
        if least is not None:
            # The kernel sees inputs less `least`; this is what that takes off each output.
            bias = bias + least * weights.sums * scale
        self.mean = weights.mean if weights.mean.any() else None
        self.outliers = weights.outliers if weights.outliers.numel() else None
        # (K, out), and zeros up to a full vector: what is left over is summed in another order,
        # and where several rows are multiplied at once that is not the same part of each.
        self.spare = -len(scale) % _VECTOR if self.outliers is not None else 0
        self.columns = F.pad(weights.columns.t(), (0, self.spare)).contiguous()
        self.bias = F.pad(bias, (0, self.spare))

    @property
    def weight(self) -> Tensor:
        """W (out, in) as float32, made anew: for those who look at it, not for computing."""
        weight = unpack_int8(self.packed).float() * self.scale[:, None]
        if self.mean is not None:
            weight += self.mean
        if self.outliers is not None:
            weight[:, self.outliers] += self.columns[:, : len(weight)].t()
        return weight

    def forward(self, x: Tensor) -> Tensor:
        extra = self.bias
        if self.mean is not None:
            # A sum for each row: a product of matrices would depend on how many rows there are.
            extra = extra + (x * self.mean).sum(-1, keepdim=True)
        if self.outliers is not None:
            extra = _few_products(extra, x.index_select(-1, self.outliers), self.columns)
        if self.least is not None:
            x = x - self.least
        sizes = x.abs()
        if self.outliers is not None:
            # Whatever they become in `x / most`, the kernel's weights for them are 0.
            sizes.index_fill_(-1, self.outliers, 0)
        most = sizes.amax(-1, keepdim=True).clamp_(min=_NOTHING)  # (..., 1)
        y = int8_product(x / most, self.packed, signed=self.least is None)
        if self.spare:  # in the head alone: other widths are whole vectors
            extra = extra[..., : -self.spare]
        return torch.addcmul(extra, y, most)


def _few_products(extra: Tensor, x: Tensor, columns: Tensor) -> Tensor:
    """extra (out,) or (..., T, out) + x (..., T, K) times columns (K, out).

    A few rows get a product each: one of several rows would sum in another order than one of one.
    """
    together = 1 if _are_few(x) else x.size(-2)
    texts = x.reshape(-1, together, x.size(-1))
    if extra.dim() > 1:
        extra = extra.reshape(-1, together, extra.size(-1))
    y = torch.baddbmm(extra, texts, columns.expand(texts.size(0), -1, -1))
    return y.view(*x.shape[:-1], -1)


def _are_few(x: Tensor) -> bool:
    # A recording cannot choose by a size: what is recorded is replayed for few rows only.
    return torch._C._is_tracing() or x.dim() < 2 or x.size(-2) <= FEW_ROWS


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
