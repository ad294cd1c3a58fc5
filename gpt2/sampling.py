"""From logits to the next token: temperature, top-k, top-p and a draw that can be repeated.

The draw is the Gumbel-max trick (Gumbel 1954; Maddison et al. 2014): add -log(-log(u)) to every
log-probability and take the largest. u comes from a hash of (seed, position, token id), not from a
generator with a state. So a text depends on its own seed alone, whoever else is running; continuing
it gives what one longer run would have given; and two models with one seed meet the same luck.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class SamplingOptions:
    """How to choose the next token.

    `temperature` 0 to 2 divides the logits, and 0 means the likeliest token always; `top_k` keeps
    the k likeliest tokens (0 keeps all); `top_p` keeps the fewest that together reach this
    probability (1 keeps all; Holtzman et al. 2020); `seed` is any whole number from 0 to 2^63 - 1.
    Raises ValueError for anything else.
    """

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        # Written so that NaN fails every one of them.
        if not 0 <= self.temperature <= 2:
            raise ValueError(f"Temperature must be from 0 to 2, not {self.temperature}.")
        if not self.top_k >= 0 or self.top_k % 1 != 0:
            raise ValueError(f"Top-k must be a whole number from 0 (off) up, not {self.top_k}.")
        if not 0 < self.top_p <= 1:
            raise ValueError(f"Top-p must be above 0 and at most 1, not {self.top_p}.")
        if not 0 <= self.seed < 2**63 or self.seed % 1 != 0:
            raise ValueError(f"Seed must be a whole number from 0 to 2^63 - 1, not {self.seed}.")
        # A slider may say 40.0; torch wants 40.
        object.__setattr__(self, "top_k", int(self.top_k))
        object.__setattr__(self, "seed", int(self.seed))


GREEDY = SamplingOptions(temperature=0)
# What the page, the API and the command line start with. At these two neither built-in size began a
# loop in the 60 texts of its model card; both repeat themselves more than books do.
USUAL = SamplingOptions(temperature=0.85, top_p=0.98)


def filtered(logits: Tensor, options: SamplingOptions) -> Tensor:
    """Logits (V,) after temperature, top-k and top-p, in that order; what is cut becomes -inf.

    Equally likely tokens stay or go together. `options.temperature` must be above 0.
    """
    scores = _likeliest(logits, options)
    if options.top_p < 1:
        ordered = scores.sort(descending=True).values
        probability = ordered.softmax(-1)
        # A token stays while the mass before it is still short of top_p: at least one always does.
        least = ordered[probability.cumsum(-1) - probability < _mass(options)][-1]
        scores = scores.masked_fill(scores < least, -math.inf)
    return scores


def choose(logits: Tensor, options: SamplingOptions, position: int) -> int:
    """The token for place `position`, given logits (V,). Same arguments, same token.

    It is the winner among `filtered` plus noise. Sorting all for top-p would take longer than all
    else here, so the winner among more is taken and asked whether it would have stayed.
    """
    if options.temperature == 0:
        return int(logits.argmax())
    scores = _likeliest(logits, options)
    noisy = scores + gumbel(options.seed, position, len(scores), scores.device)
    winner = noisy.argmax()
    if options.top_p < 1:
        probability = scores.softmax(-1)
        while (probability * (scores > scores[winner])).sum() >= _mass(options):
            # Whatever is no likelier is cut as well: each try at least halves the rest, on average.
            noisy.masked_fill_(scores <= scores[winner], -math.inf)
            winner = noisy.argmax()
    return int(winner)


def _mass(options: SamplingOptions) -> float:
    """`top_p` as float32 can hold it: as 0 it would keep no token, not even the likeliest."""
    return max(options.top_p, 1e-30)


def _likeliest(logits: Tensor, options: SamplingOptions) -> Tensor:
    """Logits (V,) after temperature and top-k."""
    # The largest is 0 first, so that dividing by almost nothing cannot make it infinite.
    scores = (logits.float() - logits.max()) / max(options.temperature, 1e-30)
    if 0 < options.top_k < scores.numel():
        kth = scores.topk(options.top_k).values[-1]
        scores = scores.masked_fill(scores < kth, -math.inf)
    return scores


def gumbel(seed: int, position: int, vocab_size: int, device: torch.device | str) -> Tensor:
    """Standard Gumbel noise (V,), a pure function of its arguments."""
    ids = torch.arange(vocab_size, dtype=torch.int32, device=device)
    state = _mix_number(_mix_number(seed) ^ position)
    bits = _mix(_mix(ids ^ _signed(state)) ^ _signed(state >> 32))
    # Rounding to float32 would make 1 of the last few, and noise of minus infinity.
    uniform = ((bits.view(torch.uint32).float() + 0.5) / 2**32).clamp_(max=1 - 2**-24)
    # -log(1 - u) rather than -log(u): the winner is where this is smallest, and there u is near 0,
    # where float32 still has all its digits.
    return uniform.neg_().log1p_().neg_().log_().neg_()


def _mix(bits: Tensor) -> Tensor:
    """The 32-bit finaliser `lowbias32` (C. Wellons, 2018). int32, for speed: products wrap."""
    bits = bits ^ (bits >> 16 & 0xFFFF)  # int32 shifts copies of the sign in
    bits *= _signed(0x7FEB352D)
    bits ^= bits >> 15 & 0x1FFFF
    bits *= _signed(0x846CA68B)
    bits ^= bits >> 16 & 0xFFFF
    return bits


def _signed(value: int) -> int:
    """The int32 that has the low 32 bits of `value`."""
    return (value & 0xFFFFFFFF ^ 0x80000000) - 0x80000000


def _mix_number(value: int) -> int:
    """The 64-bit finaliser of SplitMix64 (Steele et al. 2014)."""
    value = (value + 0x9E3779B97F4A7C15) % 2**64
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) % 2**64
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) % 2**64
    return value ^ (value >> 31)
