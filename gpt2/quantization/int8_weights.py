"""Eight-bit weights: one scale a row, and the few input channels that eight bits would ruin.

Rows (vector-wise) scales and float32 outlier channels are LLM.int8's (Dettmers et al. 2022).
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from torch import Tensor

# A channel is an outlier when its largest input is so many times the median channel's,
_OUTLIER = 1.5
_MOST_OUTLIERS = 32
# and they are kept apart where that leaves the others, on average, at most this share of the range.
_WORTH_IT = 0.9
_MOST = 127  # of a value, and of the sum of a pair
_ROWS = 4096  # at a time: copies of the whole embedding would be most of what loading takes
_LEAST = torch.finfo(torch.float32).tiny  # instead of 0, for a row of zeros


@dataclass(frozen=True, slots=True)
class Int8Weights:
    """W (out, in) = values * scale[:, None] + mean[None, :] + columns at the outlier channels.

    `values` int8 (out, in) is 0 in outlier columns, and those of a pair (2k, 2k + 1) of one sign
    add up to 128 at most. `sums` (out,) are those of its rows, `scale` (out,), `mean` (in,) a row
    that was taken off every row first, `outliers` int64 (K,), `columns` float32 (out, K).
    """

    values: Tensor
    sums: Tensor
    scale: Tensor
    mean: Tensor
    outliers: Tensor
    columns: Tensor

    def tensors(self) -> dict[str, Tensor]:
        """Every field by its name, as a file keeps them."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def dequantized(self, rows: Tensor) -> Tensor:
        """The rows of W with these numbers, in float32: (..., in)."""
        weight = self.values[rows].float() * self.scale[rows, None] + self.mean
        weight[..., self.outliers] += self.columns[rows]
        return weight


def quantize(weight: Tensor, inputs: Tensor, centred: bool = False) -> Int8Weights:
    """Eight-bit weights of `weight` (out, in); `inputs` (N, in) are some of what it will read.

    `centred` takes the mean row off first. GPT-2's logits share an offset near -100, which would
    take most of the eight bits; a common row brings it back exactly.
    """
    outliers = _outliers(inputs.abs())
    mean = weight.float().mean(0) if centred else torch.zeros(weight.size(1))
    values = torch.empty(weight.shape, dtype=torch.int8)
    sums = torch.empty(len(weight))
    scale = torch.empty(len(weight))
    columns = torch.empty(len(weight), len(outliers))
    rest = torch.empty(min(len(weight), _ROWS), weight.size(1))
    for first in range(0, len(weight), _ROWS):
        some = slice(first, first + _ROWS)
        part = torch.sub(weight[some].float(), mean, out=rest[: len(weight[some])])
        columns[some] = part[:, outliers]
        part[:, outliers] = 0
        scale[some] = _largest(part).clamp_(min=_LEAST).div_(_MOST)
        values[some] = part.div_(scale[some, None]).round_()
        sums[some] = part.sum(1)
    return Int8Weights(values, sums, scale, mean, outliers, columns)


def _largest(rows: Tensor) -> Tensor:
    """Of each row (N, in) the largest size of a value and of a pair's sum: (N,).

    CPUs without VNNI multiply unsigned by signed bytes two at a time and add both products up in 16
    signed bits (vpmaddubsw), which 255 * 128 still fits and 255 * (127 + 127) does not. The sum is
    cut off there, without a word, and the outputs are wrong.
    """
    sums = rows[:, :-1:2] + rows[:, 1::2]
    least, most = rows.aminmax(dim=1)
    lower, upper = sums.aminmax(dim=1)
    return torch.maximum(torch.maximum(-least, most), torch.maximum(-lower, upper))


def _outliers(sizes: Tensor) -> Tensor:
    """The channels to keep apart, given |inputs| (N, in)."""
    largest = sizes.amax(0)
    most = largest.topk(min(_MOST_OUTLIERS, largest.numel() // 4))
    found = most.indices[most.values > _OUTLIER * largest.median()].sort().values
    left = sizes.index_fill(1, found, 0).amax(1) / sizes.amax(1)
    return found if left.mean() < _WORTH_IT else found[:0]
