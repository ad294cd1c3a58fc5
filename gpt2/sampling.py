"""From logits to the next token: temperature, top-k, top-p and a draw that can be repeated.

The draw is the Gumbel-max trick (Gumbel 1954; Maddison et al. 2014): add -log(-log(u)) to every
log-probability and take the largest. u comes from a hash of (seed, position, token id), not from a
generator with a state. So a text depends on its own seed alone, whoever else is running; continuing
it gives what one longer run would have given; and two models with one seed share the same Gumbel
noise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
F = TypeVar("F", np.float32, np.float64)


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
        # A slider may say 40.0; NumPy wants 40.
        object.__setattr__(self, "top_k", int(self.top_k))
        object.__setattr__(self, "seed", int(self.seed))


GREEDY = SamplingOptions(temperature=0)
# What the page, the API and the command line start with. At these two neither built-in size began a
# loop in the 60 texts of its model card; both repeat themselves more than books do.
USUAL = SamplingOptions(temperature=0.85, top_p=0.98)


def filtered(logits: npt.ArrayLike, options: SamplingOptions) -> Floats:
    """Logits (V,) after temperature, top-k and top-p, in that order; what is cut becomes -inf.

    Equally likely tokens stay or go together. `options.temperature` must be above 0.
    """
    scores = _scaled(logits, options)
    if 0 < options.top_k < len(scores):
        scores[scores < _kth_largest(scores, options.top_k)] = -np.inf
    if options.top_p < 1:
        ordered = np.sort(scores)[::-1]
        probability = softmax(ordered)
        # A token stays while the mass before it is still short of top_p: at least one always does.
        before = probability.cumsum(dtype=np.float64) - probability
        scores[scores < ordered[before < _mass(options)][-1]] = -np.inf
    return scores


def choose(
    logits: npt.ArrayLike, options: SamplingOptions, position: int, never: Sequence[int] = ()
) -> int:
    """The token for place `position`, given logits (V,). Same arguments, same token.

    It is the winner among `filtered` plus noise. Sorting all for top-p would take longer than all
    else here, so the winner among more is taken and asked whether it would have stayed. Ids in
    `never` (rows that pad a vocabulary) are not drawn.
    """
    if len(never):
        logits = np.array(logits, np.float32)
        logits[never] = -np.inf
    if options.temperature == 0:
        return int(np.argmax(logits))
    scores = _scaled(logits, options)
    tokens = None
    if 0 < options.top_k < len(scores):
        tokens = np.flatnonzero(scores >= _kth_largest(scores, options.top_k))
        scores = scores[tokens]
    if options.top_p == 1:
        if tokens is None:
            scores += gumbel(options.seed, position, len(scores))
            return int(scores.argmax())
        scores += _noise(options.seed, position, tokens.astype(np.uint32))
        return int(tokens[scores.argmax()])
    powers = np.exp(scores)
    total = powers.sum()
    target = _mass(options) * total
    # Those with at most (1 - top_p) / n each have at most 1 - top_p together, so all of them are
    # cut; the likeliest, whose power is 1, never is. A little less, as sums are rounded.
    few = np.flatnonzero(powers > min(0.999 * (total - target) / len(powers), 0.999))
    scores, powers = scores[few], powers[few]
    tokens = few if tokens is None else tokens[few]
    noisy = scores + _noise(options.seed, position, tokens.astype(np.uint32))
    winner = noisy.argmax()
    while powers[scores > scores[winner]].sum() >= target:
        # Whatever is no likelier is cut as well: each try at least halves the rest, on average.
        noisy[scores <= scores[winner]] = -np.inf
        winner = noisy.argmax()
    return int(tokens[winner])


def softmax(scores: npt.NDArray[F]) -> npt.NDArray[F]:
    """Probabilities (..., V); the largest score must be finite."""
    powers: npt.NDArray[F] = np.exp(scores - scores.max(axis=-1, keepdims=True))
    powers /= powers.sum(axis=-1, keepdims=True)
    return powers


def _mass(options: SamplingOptions) -> float:
    """`top_p` as float32 can hold it: as 0 it would keep no token, not even the likeliest."""
    return max(options.top_p, 1e-30)


def _scaled(logits: npt.ArrayLike, options: SamplingOptions) -> Floats:
    """Logits (V,) after temperature, as a new array whose largest is 0."""
    scores = np.array(logits, np.float32)
    # The largest is 0 first, so that dividing by almost nothing cannot make it infinite.
    scores -= scores.max()
    with np.errstate(over="ignore"):  # what becomes -inf had no chance
        scores /= np.float32(max(options.temperature, 1e-30))
    return scores


def at_most_kth_largest(scores: Floats, k: int) -> np.float32:
    """A bound below which none of the k largest of scores (V,) is, k being below V // 64.

    It is the k-th of the largest of 64 each. Any 64 will do; a 64th of all apart they are compared
    fastest.
    """
    blocks = scores[: len(scores) // 64 * 64].reshape(64, -1).max(axis=0)
    bound: np.float32 = np.partition(blocks, -k)[-k]
    return bound


def _kth_largest(scores: Floats, k: int) -> np.float32:
    """What sorting would find, in a tenth of the time."""
    if k < len(scores) // 64:
        scores = scores[scores >= at_most_kth_largest(scores, k)]
    kth: np.float32 = np.partition(scores, -k)[-k]
    return kth


def gumbel(seed: int, position: int, vocab_size: int) -> Floats:
    """Standard Gumbel noise (V,), a pure function of its arguments."""
    return _noise(seed, position, np.arange(vocab_size, dtype=np.uint32))


def _noise(seed: int, position: int, bits: npt.NDArray[np.uint32]) -> Floats:
    """That of the tokens `bits` (N,), which are overwritten: the same whoever else is asked for."""
    state = _mix_number(_mix_number(seed) ^ position)
    bits ^= np.uint32(state & 0xFFFFFFFF)
    _mix(bits)
    bits ^= np.uint32(state >> 32)
    _mix(bits)
    uniform = bits.astype(np.float32)
    uniform += np.float32(0.5)
    uniform *= np.float32(2**-32)
    # Rounding to float32 makes 1 of the last few, and that noise of minus infinity.
    np.minimum(uniform, np.float32(1 - 2**-24), out=uniform)
    # -log(1 - u) rather than -log(u): the winner is where this is smallest, and there u is near 0,
    # where float32 still has all its digits.
    np.negative(uniform, out=uniform)
    np.log1p(uniform, out=uniform)
    np.negative(uniform, out=uniform)
    np.log(uniform, out=uniform)
    return np.negative(uniform, out=uniform)


def _mix(bits: npt.NDArray[np.uint32]) -> None:
    """The 32-bit finaliser `lowbias32` (C. Wellons, 2018), in place; products wrap."""
    shifted = bits >> np.uint32(16)
    bits ^= shifted
    bits *= np.uint32(0x7FEB352D)
    bits ^= np.right_shift(bits, np.uint32(15), out=shifted)
    bits *= np.uint32(0x846CA68B)
    bits ^= np.right_shift(bits, np.uint32(16), out=shifted)


def _mix_number(value: int) -> int:
    """The 64-bit finaliser of SplitMix64 (Steele et al. 2014)."""
    value = (value + 0x9E3779B97F4A7C15) % 2**64
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) % 2**64
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) % 2**64
    return value ^ (value >> 31)
