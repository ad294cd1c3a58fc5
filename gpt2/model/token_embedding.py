"""Token embedding and its tied head (Press and Wolf 2017): one matrix reads and writes tokens."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class TokenEmbedding(nn.Module):
    """Row i of `weight` (V, C) is token i."""

    def __init__(self, vocab_size: int, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(vocab_size, width))

    def forward(self, input_ids: Tensor) -> Tensor:
        """Ids (B, T) to embeddings (B, T, C)."""
        return F.embedding(input_ids, self.weight)

    def logits(self, x: Tensor) -> Tensor:
        """How well x (..., C) matches every token: (..., V)."""
        return F.linear(x, self.weight)
