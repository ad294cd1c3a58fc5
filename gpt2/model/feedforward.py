"""The feed-forward half of a block: widen, bend, narrow, for each token on its own."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


class FeedForward(nn.Module):
    """c_proj(gelu(c_fc(x))): (B, T, C) to the same shape, `factor` times wider inside.

    GPT-2 was trained with the tanh form of GELU (Hendrycks and Gimpel 2016, section 2); the exact
    form gives different logits.
    """

    def __init__(self, width: int, factor: int, dropout_rate: float) -> None:
        super().__init__()
        self.c_fc = nn.Linear(width, factor * width)
        self.c_proj = nn.Linear(factor * width, width)
        self.dropout = nn.Dropout(dropout_rate)

    def forward(self, x: Tensor) -> Tensor:
        hidden = F.gelu(self.c_fc(x), approximate="tanh")  # (B, T, factor * C)
        y: Tensor = self.dropout(self.c_proj(hidden))
        return y
