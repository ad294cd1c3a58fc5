"""Loss and gradients of one batch, in pieces that stay in the processor's cache."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from gpt2.model import GPT2Model
from gpt2.model.attention import Attend, causal_mask
from gpt2.training.repeats import NOT_SCORED

# The logits of a whole batch are 134 MB at a vocabulary of 8,192: in pieces the head and its
# gradient take two thirds of the time (284 against 424 ms for 4,096 tokens on one core).
_ROWS = 512


def backward(model: GPT2Model, inputs: Tensor, targets: Tensor, attend: Attend | None) -> float:
    """Add the gradients of the mean cross entropy, in nats; return it. Both are (B, T).

    Targets of NOT_SCORED count for nothing. bfloat16 autocast, float32 weights.
    """
    wanted = targets.flatten()
    scored = (wanted != NOT_SCORED).sum()
    total = torch.zeros((), device=inputs.device)
    with torch.autocast(inputs.device.type, dtype=torch.bfloat16):
        hidden = model.hidden(inputs, attend=attend).flatten(0, 1)  # (B * T, C)
        leaf = hidden.detach().requires_grad_()
        for rows, ids in zip(torch.split(leaf, _ROWS), torch.split(wanted, _ROWS), strict=True):
            loss = F.cross_entropy(model.wte.logits(rows), ids, reduction="sum") / scored
            torch.autograd.backward(loss)
            total += loss.detach()
    torch.autograd.backward(hidden, leaf.grad)
    return total.item()


def attend_by_formula(q: Tensor, k: Tensor, v: Tensor, layer: int) -> Tensor:
    """Attention as written in the paper, in bfloat16.

    On a CPU its backward pass beats the fused kernel's at these head widths (48 against 81 ms for
    8 x 3 heads of width 64 and 512 tokens, 56 against 110 for 8 x 6 of width 32).
    """
    fed = q.size(-2)
    future = torch.zeros(fed, fed, dtype=q.dtype, device=q.device)
    future = future.masked_fill(~causal_mask(fed, fed, q.device), -math.inf)
    with torch.autocast(q.device.type, enabled=False):  # it would turn the softmax to float32
        queries, keys = q.flatten(0, 1), k.flatten(0, 1)  # (B * H, T, D)
        scores = torch.baddbmm(future, queries, keys.mT, alpha=1 / math.sqrt(q.size(-1)))
        heads = scores.softmax(dim=-1) @ v.flatten(0, 1)
    return heads.view_as(q)
