"""Multi-head causal attention (Vaswani et al. 2017, section 3.2), and the cache that saves work.

How a head attends is a function that the model is given (`Attend`): `causal_attention` is the plain
one, a `KVCache` remembers the tokens before, training and `gpt2.inference` have their own.
"""

from __future__ import annotations

import math
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gpt2.config import GPT2Config


class Attend(Protocol):
    """How the heads of a layer attend: queries, keys and values (B, H, T, D) of the tokens fed to
    what the heads found, (B, H, T, D)."""

    def __call__(self, q: Tensor, k: Tensor, v: Tensor, layer: int) -> Tensor: ...


def causal_mask(fed: int, attended: int, device: torch.device | None = None) -> Tensor:
    """True where a query may look: (T, S), the queries being the last T positions.

    PyTorch's own `is_causal` lines the queries up with the first T positions instead, which is
    wrong as soon as a cache holds earlier tokens.
    """
    ones = torch.ones(fed, attended, dtype=torch.bool, device=device)
    return ones.tril(diagonal=attended - fed)


def causal_attention(
    q: Tensor, k: Tensor, v: Tensor, layer: int = 0, dropout_rate: float = 0.0
) -> Tensor:
    """softmax(q k' / sqrt(D)) v with the future masked: q (B, H, T, D), k and v (B, H, S, D).

    PyTorch's fused kernel: the weights never exist in memory.
    """
    fed, attended = q.size(-2), k.size(-2)
    some = 1 < fed < attended  # a single newest query sees everything
    return F.scaled_dot_product_attention(
        q,
        k,
        v,
        attn_mask=causal_mask(fed, attended, q.device) if some else None,
        dropout_p=dropout_rate,
        is_causal=fed == attended,
    )


def attention_weights(q: Tensor, k: Tensor) -> Tensor:
    """The weights that `causal_attention` does not show: (B, H, T, S), every row sums to 1."""
    # Dividing the queries rather than the scores is the same and, in a long text, far less work.
    scores = (q / math.sqrt(q.size(-1))) @ k.transpose(-2, -1)
    fed = q.size(-2)
    if fed > 1:
        newest = scores[..., -fed:]  # what is older is nobody's future
        newest.masked_fill_(~causal_mask(fed, fed, scores.device), -math.inf)
    return scores.softmax(dim=-1)


class KVCache:
    """Keys and values of up to `capacity` tokens of `batch` texts; attends to all of them.

    A new token then costs one row, not a square. One for each call of `generate`, never shared.
    """

    def __init__(
        self,
        config: GPT2Config,
        capacity: int,
        batch: int = 1,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> None:
        if capacity > config.max_seq_len:
            raise ValueError(f"{capacity} tokens do not fit a context of {config.max_seq_len}")
        shape = (config.num_blocks, batch, config.num_heads, capacity, config.hidden_dimension)
        self.keys = torch.empty(shape, dtype=dtype, device=device)
        self.values = torch.empty(shape, dtype=dtype, device=device)
        self.length = 0  # tokens that every layer has stored

    def positions(self, fed: int) -> Tensor:
        """Where the next `fed` tokens stand: (T,)."""
        return torch.arange(self.length, self.length + fed, device=self.keys.device)

    def __call__(self, q: Tensor, k: Tensor, v: Tensor, layer: int) -> Tensor:
        """Store k and v, attend to all that is stored. Raises ValueError when it is full."""
        layers, _, _, capacity, _ = self.keys.shape
        end = self.length + k.size(-2)
        if end > capacity:
            raise ValueError(f"the cache has room for {capacity} tokens, not {end}")
        self.keys[layer, :, :, self.length : end] = k
        self.values[layer, :, :, self.length : end] = v
        y = causal_attention(q, self.keys[layer, :, :, :end], self.values[layer, :, :, :end])
        if layer == layers - 1:  # an interrupted pass leaves the cache as it was
            self.length = end
        return y


class MultiHeadAttention(nn.Module):
    """x (B, T, C) to the same shape: H heads look, one linear layer mixes what they found."""

    def __init__(self, config: GPT2Config) -> None:
        super().__init__()
        width = config.embedding_dimension
        self.num_heads = config.num_heads
        self.c_attn = nn.Linear(width, 3 * width)  # queries, keys and values in one product
        self.c_proj = nn.Linear(width, width)
        self.dropout = nn.Dropout(config.dropout_rate)

    def forward(self, x: Tensor, attend: Attend, layer: int) -> Tensor:
        qkv = self.c_attn(x).unflatten(-1, (3, self.num_heads, -1))  # (B, T, 3, H, D)
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind()  # (B, H, T, D) each
        heads = attend(q, k, v, layer).transpose(1, 2).flatten(2)  # (B, T, C)
        y: Tensor = self.dropout(self.c_proj(heads))
        return y
