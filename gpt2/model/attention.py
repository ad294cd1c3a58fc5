"""Scaled dot-product attention (Vaswani et al. 2017, eq. 1), causal.

`FusedAttention` is fast and keeps nothing, `newest_attention` is nearly as fast for one query and
has its weights at hand, `RowByRow` gives several queries the bits that each has when decoded alone,
and `AttentionRecorder` spells out the weights that somebody asked to see.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor


class Attend(Protocol):
    """How a block attends: q (B, H, T, D), k and v (B, H, S, D) to y (B, H, T, D).

    The T queries are the last T of the S positions.
    """

    def __call__(self, q: Tensor, k: Tensor, v: Tensor, layer: int) -> Tensor: ...


def causal_mask(fed: int, attended: int, device: torch.device | None = None) -> Tensor:
    """True where a query may look: (T, S), the queries being the last T positions.

    PyTorch's own `is_causal` lines the queries up with the first T positions instead, which is
    wrong as soon as a cache holds earlier tokens.
    """
    ones = torch.ones(fed, attended, dtype=torch.bool, device=device)
    return ones.tril(diagonal=attended - fed)


def attention_weights(q: Tensor, k: Tensor) -> Tensor:
    """softmax(q k' / sqrt(D)) with the future masked: (B, H, T, S), every row sums to 1."""
    # Dividing the queries rather than the scores is the same and, in a long text, far less work.
    scores = (q / math.sqrt(q.size(-1))) @ k.transpose(-2, -1)
    fed = q.size(-2)
    if fed > 1:  # a single newest query sees everything
        newest = scores[..., -fed:]  # what is older is nobody's future
        newest.masked_fill_(~causal_mask(fed, fed, scores.device), -math.inf)
    return scores.softmax(dim=-1)


def newest_attention(q: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    """One query of each head (H, 1, D) over k and v (H, S, D): y (H, 1, D), weights (H, 1, S).

    Of one query the weights are few, and the fused kernel hardly sooner done.
    """
    scores = torch.baddbmm(q.new_empty(1), q, k.mT, beta=0, alpha=1 / math.sqrt(q.size(-1)))
    weights = scores.softmax(dim=-1)
    return torch.bmm(weights, v), weights


class FusedAttention:
    """PyTorch's fused kernel, for more than one query; the weights never exist in memory."""

    def __init__(self, dropout_rate: float = 0.0) -> None:
        self.dropout_rate = dropout_rate

    def __call__(self, q: Tensor, k: Tensor, v: Tensor, layer: int) -> Tensor:
        fed, attended = q.size(-2), k.size(-2)
        if fed == 1 and not self.dropout_rate:
            return RowByRow()(q, k, v, layer)
        return F.scaled_dot_product_attention(
            q,
            k,
            v,
            attn_mask=causal_mask(fed, attended, q.device) if fed < attended else None,
            dropout_p=self.dropout_rate,
            is_causal=fed == attended,
        )


class RowByRow:
    """One query at a time, as when tokens come one by one: the same bits.

    For many rows at once the fused kernel sums in another order.
    """

    def __call__(self, q: Tensor, k: Tensor, v: Tensor, layer: int) -> Tensor:
        heads = [each.flatten(0, 1) for each in (q, k, v)]  # (B * H, T or S, D)
        before = k.size(-2) - q.size(-2) + 1
        rows = [
            newest_attention(heads[0][:, i : i + 1], *(each[:, : before + i] for each in heads[1:]))
            for i in range(q.size(-2))
        ]
        return torch.cat([y for y, _ in rows], dim=1).view(q.shape)


class AttentionRecorder:
    """Attends by `attend`, and hands the weights (B, H, T, S) of the wanted layers to `keep`.

    `keep_values` gets the values (B, H, T, D) of the tokens fed: what is read there, not how much.
    The weights are computed beside the result, not on the way to it: a text is the same to the last
    bit whoever looks, and layers nobody wants cost what they always cost.
    """

    def __init__(
        self,
        wanted: Callable[[int], bool],
        keep: Callable[[int, Tensor], None],
        keep_values: Callable[[int, Tensor], None] = lambda layer, values: None,
        attend: Attend | None = None,
    ) -> None:
        self.wanted = wanted
        self.keep = keep
        self.keep_values = keep_values
        self.attend = attend or FusedAttention()

    def __call__(self, q: Tensor, k: Tensor, v: Tensor, layer: int) -> Tensor:
        if self.wanted(layer):
            self.keep(layer, attention_weights(q, k))
            self.keep_values(layer, v[..., -q.size(-2) :, :])
        return self.attend(q, k, v, layer)
