"""What would have flipped: the same draw under another temperature, top-k or top-p.

A token is the winner of l / T + g among those that are kept, and the noise g is known, being a pure
function of seed and place (`gpt2.sampling`). So j overtakes the chosen c exactly at
T* = (l_c - l_j) / (g_j - g_c), where l_c / T + g_c = l_j / T + g_j, as long as both are kept: no
search is needed (Ravfogel et al. 2024, arXiv 2411.07180, use the same noise for counterfactuals).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from gpt2.inference.executor import Floats, Head
from gpt2.inference.steps import Request, StepSource
from gpt2.interpret.reading import known
from gpt2.sampling import SamplingOptions, choose, gumbel

_COLD, _HOT = 1e-6, 1e6  # temperatures that are as good as 0 and as infinity


@dataclass(frozen=True, slots=True)
class Flip:
    """`token` stands at `place` of a text, and under other options `instead` would have been drawn.

    Only the first flip of a text is `certain`: after it the text would have gone on differently, so
    later ones tell what would have come there *if all before had stayed the same*.
    """

    place: int
    token: int
    instead: int
    certain: bool


@dataclass(frozen=True, slots=True)
class FlipRange:
    """Between which temperatures the token at `place` stays the winner, and who wins beyond.

    `below` and `above` are temperatures: just above `above`, `token_above` is drawn, just below
    `below`, `token_below`; 0 with None, and infinity with None, where nothing changes.
    `top_k_from` is the smallest top-k that keeps the token, and `top_k_to` the largest that lets
    nobody in who beats it (None: any). All hold as long as the other options stay as they are.
    """

    place: int
    token: int
    below: float
    token_below: int | None
    above: float
    token_above: int | None
    top_k_from: int
    top_k_to: int | None


def flips(
    source: StepSource,
    ids: Sequence[int],
    start: int,
    options: SamplingOptions,
    heads_off: Mapping[Head, Floats | None] | None = None,
) -> list[Flip]:
    """`Engine.flips`. Raises ValueError for a start outside the text."""
    return flips_among(drawn_from(source, ids, start, heads_off), ids, options)


def flips_among(
    drawn: Iterable[tuple[int, Floats]], ids: Sequence[int], options: SamplingOptions
) -> list[Flip]:
    """The flips among places of `ids`, given the logits (V,) that each was `drawn_from`."""
    found: list[Flip] = []
    for place, logits in drawn:
        token = choose(logits, options, place)
        if token != ids[place]:
            found.append(Flip(place, ids[place], token, certain=not found))
    return found


def flip_ranges(
    source: StepSource,
    ids: Sequence[int],
    start: int,
    options: SamplingOptions,
    heads_off: Mapping[Head, Floats | None] | None = None,
) -> list[FlipRange]:
    """`Engine.flip_ranges`. Raises ValueError for a start outside the text."""
    return [
        flip_range(logits, ids[place], options, place)
        for place, logits in drawn_from(source, ids, start, heads_off)
    ]


def drawn_from(
    source: StepSource,
    ids: Sequence[int],
    start: int,
    heads_off: Mapping[Head, Floats | None] | None = None,
) -> Iterator[tuple[int, Floats]]:
    """Each place of `ids` from `start` on, and the logits (V,) its token was drawn from.

    Raises ValueError for a start outside the text.
    """
    if not 1 <= start <= len(ids):
        raise ValueError(f"The written text starts from 1 to {len(ids)}, not {start}.")
    if start == len(ids):
        return
    place = start
    request = Request(ids[:-1], logits_from=start - 1, heads_off=heads_off or {})
    for step in source.steps(request):
        for logits in known(step.logits, "logits"):
            yield place, logits
            place += 1


def flip_range(logits: Floats, token: int, options: SamplingOptions, place: int) -> FlipRange:
    """The `FlipRange` of `token`, drawn at `place` from logits (V,) with these options.

    Where top-p lets another token in, or the token itself out, the temperature of that is found by
    halving, to one part in a billion; where two tokens overtake each other it needs no search.
    Raises ValueError where `token` is not what the options draw: then no noise explains it.
    """
    if token != choose(logits, options, place):
        raise ValueError(f"Token {token} is not what these options draw at place {place}.")
    draw = _Draw(logits, token, options, place)
    below, token_below = draw.below()
    above, token_above = draw.above()
    top_k_from, top_k_to = draw.top_k()
    return FlipRange(place, token, below, token_below, above, token_above, top_k_from, top_k_to)


class _Draw:
    """One draw: each token as a line l + T g over the temperature, and which of them are kept.

    Only tokens that no likelier one beats whatever the temperature can win: those with more noise
    than all that are likelier, about log V of them. Of two, the likelier is kept wherever the other
    is, since top-k and top-p keep the likeliest.
    """

    def __init__(self, logits: Floats, token: int, options: SamplingOptions, place: int) -> None:
        self._token, self._options = token, options
        self._scores = logits.astype(np.float64) - float(logits.max())
        self._noise = gumbel(options.seed, place, len(logits)).astype(np.float64)
        order = np.argsort(-self._scores, kind="stable")
        self._sorted = self._scores[order]
        highest = np.maximum.accumulate(self._noise[order])
        records = order[np.diff(highest, prepend=-np.inf) > 0]
        likelier = self._scores[records] > self._scores[token]
        self._likelier = records[likelier]
        self._rarer = records[~likelier & (records != token)]

    def above(self) -> tuple[float, int | None]:
        """Where the temperature rises, who overtakes first, as soon as it is kept."""
        best, winner = math.inf, None
        rivals = self._rarer[self._noise[self._rarer] > self._noise[self._token]]
        for rival in sorted(rivals.tolist(), key=self._crossing):
            crossing = max(self._crossing(rival), self._options.temperature)
            if crossing >= best:
                break
            entered = self._kept_from(rival, crossing, min(best, _HOT))
            if entered is not None:
                best, winner = entered, rival
        return best, winner

    def below(self) -> tuple[float, int | None]:
        """Where it falls, who overtakes first, or where the token is no longer kept."""
        now = self._options.temperature
        crossings = {rival: self._crossing(rival) for rival in self._likelier.tolist()}
        winner = max(crossings, key=lambda rival: crossings[rival], default=None)
        below = 0.0 if winner is None else max(0.0, crossings[winner])
        if now > 0 and not self._keeps(self._token, max(below, _COLD)):
            below = self._kept_from(self._token, max(below, _COLD), now) or now
            at = self._scores / below + self._noise
            winner = max(crossings, key=lambda rival: at[rival])
        return (below, winner) if below else (0.0, None)

    def top_k(self) -> tuple[int, int | None]:
        """Which top-k keep the token and let nobody in who beats it."""
        temperature = self._options.temperature
        beating = [
            rival
            for rival in self._rarer.tolist()
            if temperature * (self._noise[rival] - self._noise[self._token])
            > self._scores[self._token] - self._scores[rival]
        ]
        first = min(map(self._top_k_for, beating), default=math.inf)
        lets_in = None if first > len(self._sorted) else int(first) - 1
        return self._top_k_for(self._token), lets_in

    def _crossing(self, rival: int) -> float:
        """T* = (l_c - l_j) / (g_j - g_c)."""
        more = self._noise[rival] - self._noise[self._token]
        return float((self._scores[self._token] - self._scores[rival]) / more)

    def _keeps(self, token: int, temperature: float) -> bool:
        """Whether top-k and top-p leave it; with top-p, all the more the hotter."""
        rank = self._rank(token)
        kept = self._kept_by_top_k(self._options.top_k)
        if rank >= kept:
            return False
        if self._options.top_p == 1 or not rank:
            return True
        powers = np.exp(self._sorted[:kept] / temperature)
        return float(powers[:rank].sum()) < self._options.top_p * float(powers.sum())

    def _kept_from(self, token: int, cold: float, hot: float) -> float | None:
        """The lowest temperature from `cold` on at which it is kept; None if not even at `hot`."""
        if self._keeps(token, max(cold, _COLD)):
            return cold
        if not self._keeps(token, hot):
            return None
        cold = max(cold, _COLD)
        while hot - cold > 1e-9 * hot:
            middle = math.sqrt(cold * hot)
            if self._keeps(token, middle):
                hot = middle
            else:
                cold = middle
        return hot

    def _top_k_for(self, token: int) -> int:
        """The smallest top-k that keeps it. A smaller one leaves less for top-p to keep."""
        rank = self._rank(token)
        if self._options.top_p == 1 or not rank:
            return rank + 1
        powers = np.exp(self._sorted / max(self._options.temperature, _COLD))
        mass = np.cumsum(powers)
        needed = float(mass[rank - 1]) / self._options.top_p
        return max(rank + 1, int(np.searchsorted(mass, needed, "right")) + 1)

    def _rank(self, token: int) -> int:
        """How many are likelier."""
        return int(np.searchsorted(-self._sorted, -self._scores[token], "left"))

    def _kept_by_top_k(self, top_k: int) -> int:
        """How many, with those that are as likely as the last of them."""
        if not 0 < top_k < len(self._sorted):
            return len(self._sorted)
        return int(np.searchsorted(-self._sorted, -self._sorted[top_k - 1], "right"))
