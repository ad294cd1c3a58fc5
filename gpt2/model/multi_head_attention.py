"""Multi-head attention (Vaswani et al. 2017, section 3.2.2): H heads look, one layer mixes."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gpt2.model.attention import Attend
from gpt2.model.kv_cache import Cache


class MultiHeadAttention(nn.Module):
    """x (B, T, C) to the same shape; `attend` decides how a head attends and who may watch."""

    def __init__(self, num_heads: int, head_width: int, dropout_rate: float) -> None:
        super().__init__()
        width = num_heads * head_width
        self.num_heads = num_heads
        self.c_attn = nn.Linear(width, 3 * width)  # queries, keys and values in one product
        self.c_proj = nn.Linear(width, width)
        self.dropout = nn.Dropout(dropout_rate)

    def forward(self, x: Tensor, cache: Cache, attend: Attend, layer: int) -> Tensor:
        q, k, v = self.project(x)
        k, v = cache.extend(layer, k, v)  # (B, H, S, D)
        return self.mix(attend(q, k, v, layer))

    def project(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What every token asks for, is found by and says: queries, keys, values (B, H, T, D)."""
        qkv = self.c_attn(x).unflatten(-1, (3, self.num_heads, -1))  # (B, T, 3, H, D)
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind()
        return q, k, v

    def mix(self, heads: Tensor) -> Tensor:
        """What the heads found (B, H, T, D), mixed: (B, T, C)."""
        y: Tensor = self.dropout(self.c_proj(heads.transpose(1, 2).flatten(2)))
        return y

    def output_gram(self) -> Tensor:
        """W' W of each head's part W (C, D) of the output projection: (H, D, D).

        A value v adds W v to the stream, and v' W' W v is its squared length there.
        """
        weight = self.c_proj.weight.float()
        parts = weight.view(weight.size(0), self.num_heads, -1)  # (C, H, D)
        return torch.einsum("chd,che->hde", parts, parts)
