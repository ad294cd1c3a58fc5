"""One block of GPT-2: attend, then think, each on a normalised copy added back to the stream."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gpt2.config import GPT2Config
from gpt2.model.attention import Attend, MultiHeadAttention


class LayerNorm(nn.Module):
    """Each token to mean 0 and variance 1, then scaled (Ba et al. 2016).

    y = (x - mean) / sqrt(variance + epsilon) * weight + bias over the last axis, width C.
    """

    def __init__(self, width: int, epsilon: float = 1e-5) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width))
        self.epsilon = epsilon

    def forward(self, x: Tensor) -> Tensor:
        return F.layer_norm(x, self.weight.shape, self.weight, self.bias, self.epsilon)


class FeedForward(nn.Module):
    """Expand, GELU, project back, each token on its own: (B, T, C) to the same shape.

    GPT-2 was trained with the tanh form of GELU (Hendrycks and Gimpel 2016, section 2); the exact
    form gives different logits.
    """

    def __init__(self, config: GPT2Config) -> None:
        super().__init__()
        width, wide = config.embedding_dimension, config.hidden_dimension_factor
        self.c_fc = nn.Linear(width, wide * width)
        self.c_proj = nn.Linear(wide * width, width)
        self.dropout = nn.Dropout(config.dropout_rate)

    def forward(self, x: Tensor) -> Tensor:
        hidden = F.gelu(self.c_fc(x), approximate="tanh")  # (B, T, wide * C)
        y: Tensor = self.dropout(self.c_proj(hidden))
        return y


class TransformerBlock(nn.Module):
    """(B, T, C) to the same shape. Normalises first (Radford et al. 2019, section 2.3)."""

    def __init__(self, config: GPT2Config) -> None:
        super().__init__()
        self.ln_1 = LayerNorm(config.embedding_dimension, config.layer_norm_epsilon)
        self.attn = MultiHeadAttention(config)
        self.ln_2 = LayerNorm(config.embedding_dimension, config.layer_norm_epsilon)
        self.mlp = FeedForward(config)

    def forward(self, x: Tensor, attend: Attend, layer: int) -> Tensor:
        x = x + self.attn(self.ln_1(x), attend, layer)
        y: Tensor = x + self.mlp(self.ln_2(x))
        return y
