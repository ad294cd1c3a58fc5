"""Random tokens said twice: what the second half needs is to look up what followed the first.

Text of this size rarely forces a model to learn that, so a small share of the pieces is replaced.
Olsson et al. (2022) call the heads that do it induction heads and measure them on such rows.
"""

from __future__ import annotations

import torch
from torch import Tensor

NOT_SCORED = -100  # the target that cross_entropy skips

_SHORTEST = 16  # tokens before the first repetition


def with_repeats(
    batch: Tensor, share: float, vocab_size: int, seed: int, number: int
) -> tuple[Tensor, Tensor]:
    """Inputs and targets (B, T) from a batch (B, T + 1), some of its rows replaced.

    A replaced row says random tokens, up to half its length of them, again and again; the first
    time through is not scored, since nothing could predict it. Which rows, and how, is drawn from
    (seed, batch number) alone. T is at least 34.
    """
    random = torch.Generator().manual_seed(seed * 1_000_003 + number)
    rows = batch.clone()
    chosen = torch.rand(len(batch), generator=random) < share
    targets = rows[:, 1:].clone()
    length = batch.size(1)
    for b in chosen.nonzero().flatten().tolist():
        period = int(torch.randint(_SHORTEST, length // 2, (), generator=random))
        said = torch.randint(vocab_size, (period,), generator=random)
        rows[b] = said.repeat(length // period + 1)[:length]
        targets[b] = rows[b, 1:]
        targets[b, : period - 1] = NOT_SCORED
    return rows[:, :-1], targets
