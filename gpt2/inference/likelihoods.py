"""How likely a token was, and what else could have come: the numbers of one place of a text.

They come from the logits that the pass has anyway, while text is written, so they may cost next to
nothing: float32 throughout, and no sorting of the vocabulary. Two bounds make that exact. The n-th
largest of the maxima of 64 scores each is no larger than the n-th largest score, so only scores
from there on are sorted for the list. And all tokens with a probability of at most (1 - top_p) / V
have at most 1 - top_p together, so top-p cuts every one of them; where it cuts is looked for among
the others, from the likeliest on, and only the stretch in which it falls is sorted.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from gpt2.sampling import Floats, SamplingOptions, at_most_kth_largest

# Where top-p cuts is looked for among tokens above such a share, then among those above the next.
_SHARES = (1e-3, 1e-4, 1e-5, 3e-6, 1e-6, 0.0)
COUNT = 10  # likeliest tokens, where nothing else is asked for
Cut = Literal["temperature", "top-k", "top-p"]
REASONS: dict[Cut, str] = {
    "temperature": "removed by temperature 0",
    "top-k": "removed by top-k",
    "top-p": "removed by top-p",
}


@dataclass(frozen=True, slots=True)
class Candidate:
    """A token that could come here.

    `before` is its probability under the model, softmax of the logits; `after` what temperature,
    top-k and top-p make of it, 0 where `cut` names the one that removes it. `rank` is 1 for the
    likeliest: one more than the number of tokens with a larger logit, so tied tokens share it.
    """

    token: int
    before: float
    after: float
    rank: int
    cut: Cut | None = None


@dataclass(frozen=True, slots=True)
class Choice:
    """One place of a text. Probabilities are from 0 to 1, surprisal and entropy in bits.

    `likeliest` is ordered by probability, which temperature, top-k and top-p do not change, so it
    is the order both before and after them. `chosen`, the token that stands here, is its last
    element where it is not among the first; it is None for a place that has no token yet.
    `rest_before` and `rest_after` are the probability of all tokens that are not in `likeliest`:
    with them, each of the two lists sums to 1. `kept` tokens are left by the options; `entropy`,
    -sum p log2 p, is that of the model, before them.
    """

    chosen: Candidate | None
    likeliest: tuple[Candidate, ...]
    entropy: float
    kept: int
    rest_before: float
    rest_after: float

    @property
    def probability(self) -> float:
        """Of the chosen token, under the model. Raises ValueError where none is chosen."""
        return self._the_chosen.before

    @property
    def rank(self) -> int:
        """Of the chosen token, from 1. Raises ValueError where none is chosen."""
        return self._the_chosen.rank

    @property
    def surprisal(self) -> float:
        """-log2 of `probability`, in bits. Raises ValueError where none is chosen."""
        probability = self.probability
        return -math.log2(probability) if probability else math.inf

    @property
    def _the_chosen(self) -> Candidate:
        if self.chosen is None:
            raise ValueError("No token stands at this place yet.")
        return self.chosen


def choice_of(
    logits: Floats,
    token: int | None,
    options: SamplingOptions,
    count: int = COUNT,
    drawn: bool = False,
) -> Choice:
    """The numbers of `token`, or of an empty place, given logits (V,), float32 and finite.

    `count` likeliest tokens are listed, at most V. A token that was `drawn` under these options is
    kept by them, also where rounding would put it just beyond the edge.
    """
    scores = logits - logits.max()  # (V,); the likeliest is 0
    powers = np.exp(scores)
    total = float(powers.sum())
    # sum p log p = sum p score - log total. What is far below underflows to 0 times something.
    entropy = (math.log(total) - float(powers @ scores) / total) / math.log(2)
    tokens = _largest(scores, count).tolist()
    if token is not None and token not in tokens:
        tokens.append(token)
    after = _After(scores, powers, total, options)
    if drawn and token is not None:
        after.keep(token)
    listed = []
    for number, each in enumerate(tokens):
        tied = number and scores[each] == scores[tokens[number - 1]]
        in_order = number < count and not tied
        rank = number + 1 if in_order else 1 + int(np.count_nonzero(scores > scores[each]))
        listed.append(
            Candidate(
                each,
                float(powers[each]) / total,
                after.probability(each),
                rank,
                after.cut(each),
            )
        )
    return Choice(
        next((each for each in listed if each.token == token), None),
        tuple(listed),
        max(0.0, entropy),
        after.kept,
        max(0.0, 1 - math.fsum(each.before for each in listed)),
        max(0.0, 1 - math.fsum(each.after for each in listed)),
    )


class _After:
    """What the options make of scores (V,), whose largest is 0: as `sampling.filtered` does it."""

    def __init__(
        self, scores: Floats, powers: Floats, total: float, options: SamplingOptions
    ) -> None:
        self._options = options
        self._vocabulary = len(scores)
        self._least = np.float32(-np.inf)  # score of the last that is kept
        if options.temperature == 0:
            self.kept, self._greedy = 1, int(scores.argmax())
            return
        self._scores, self._powers, self._total = scores, powers, total
        if options.temperature != 1:
            with np.errstate(over="ignore"):  # what becomes -inf had no chance
                self._scores = scores / np.float32(max(options.temperature, 1e-30))
            self._powers = np.exp(self._scores)
            self._total = float(self._powers.sum())
        self._least_of_k = self._least
        self.kept = self._vocabulary
        if 0 < options.top_k < self._vocabulary:
            self._keep_likeliest(options.top_k)
        if options.top_p < 1:
            self._keep_mass(max(options.top_p, 1e-30))

    def _keep_likeliest(self, count: int) -> None:
        scores = self._scores
        self._least = self._least_of_k = scores[_largest(scores, count)[-1]]
        kept = np.flatnonzero(scores >= self._least)  # with those that tie
        self.kept, self._total = len(kept), float(self._powers[kept].sum())

    def _keep_mass(self, mass: float) -> None:
        scores, powers = self._scores, self._powers
        if self.kept < self._vocabulary:  # top-k has been there before
            left = np.flatnonzero(scores >= self._least)
            scores, powers = scores[left], powers[left]
        target = mass * self._total
        floor = (1 - mass) / self._vocabulary * self._total
        above, certain, most = 0.0, 0, np.inf  # what is surely kept, and the power from which on
        for share in _SHARES:
            least = max(floor, share * self._total)
            likely = np.flatnonzero(powers > np.float32(least))
            here = float(powers[likely].sum(dtype=np.float64))
            if here >= target:
                break
            if least > floor:
                above, certain, most = here, len(likely), least
        between = likely[powers[likely] <= np.float32(most)]
        if not len(between):  # all as likely as each other
            return
        ordered = np.sort(scores[between])[::-1]
        weights = np.exp(ordered)
        before = above + np.cumsum(weights, dtype=np.float64) - weights
        last = max(0, int(np.searchsorted(before, target)) - 1)
        self._least = ordered[last]
        tied = int(np.searchsorted(-ordered, -self._least, "right"))
        self.kept = certain + tied
        self._total = above + float(weights[:tied].sum(dtype=np.float64))

    def keep(self, token: int) -> None:
        """Whatever rounding says."""
        if self._options.temperature and self._scores[token] < self._least:
            self._least = self._scores[token]

    def probability(self, token: int) -> float:
        if self._options.temperature == 0:
            return float(self.cut(token) is None)
        if self._scores[token] < self._least:
            return 0.0
        return float(self._powers[token]) / self._total

    def cut(self, token: int) -> Cut | None:
        if self._options.temperature == 0:
            return None if token == self._greedy else "temperature"
        if self._scores[token] >= self._least:
            return None
        return "top-k" if self._scores[token] < self._least_of_k else "top-p"


def _largest(scores: Floats, count: int) -> npt.NDArray[np.int64]:
    """Indices of the `count` largest of scores (V,), the largest first, the lower index first of
    those that tie."""
    few = count < len(scores) // 64
    candidates = (
        np.flatnonzero(scores >= at_most_kth_largest(scores, count))
        if few
        else np.arange(len(scores))
    )
    order = np.lexsort((candidates, -scores[candidates]))
    return candidates[order[:count]]
