"""Where a token stands: GPT-2's learned table, or the fixed waves of Vaswani et al. (2017)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


def sinusoidal_table(length: int, width: int) -> Tensor:
    """Section 3.5: [p, 2i] = sin(p / 10000^(2i / width)), [p, 2i + 1] the cosine. (length, C)"""
    position = torch.arange(length, dtype=torch.float32)[:, None]
    channel = torch.arange(0, width, 2, dtype=torch.float32)
    angle = position * torch.exp(channel * (-math.log(10000.0) / width))
    waves = torch.stack((angle.sin(), angle.cos()), dim=-1)  # (length, ceil(C / 2), 2)
    return waves.flatten(1)[:, :width]


class LearnedPositions(nn.Module):
    """One trained vector for each of `max_seq_len` places."""

    def __init__(self, max_seq_len: int, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(max_seq_len, width))

    def forward(self, places: slice | Tensor) -> Tensor:
        """Vectors of a stretch of places (T, C), or of one place for each text: (B, 1, C)."""
        return self.weight[places]


class SinusoidalPositions(nn.Module):
    """The same waves for every model, so they are no part of a checkpoint."""

    weight: Tensor

    def __init__(self, max_seq_len: int, width: int) -> None:
        super().__init__()
        self.register_buffer("weight", sinusoidal_table(max_seq_len, width), persistent=False)

    def forward(self, places: slice | Tensor) -> Tensor:
        """Vectors of a stretch of places (T, C), or of one place for each text: (B, 1, C)."""
        return self.weight[places]
