"""What would have flipped: the same draw under another temperature, top-k or top-p.

A token is the winner of l / T + g among those that are kept, and the noise g is known, being a pure
function of seed and place (`gpt2.sampling`). So j overtakes the chosen c exactly at
T* = (l_c - l_j) / (g_j - g_c), where l_c / T + g_c = l_j / T + g_j, as long as both are kept: no
search is needed (Ravfogel et al. 2024, arXiv 2411.07180, use the same noise for counterfactuals).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from gpt2.inference.executor import Floats
from gpt2.inference.steps import Request, StepSource
from gpt2.interpret.reading import known
from gpt2.sampling import SamplingOptions, choose, gumbel


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
    nobody in who beats it (None: any). All hold as long as the other options stay as they are, and
    for text that was drawn with top-p off: with it, whom it keeps depends on the temperature, so
    ask `flips`.
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
) -> list[Flip]:
    """`Engine.flips`. Raises ValueError for a start outside the text."""
    found: list[Flip] = []
    for place, logits in _logits_of(source, ids, start):
        token = choose(logits, options, place)
        if token != ids[place]:
            found.append(Flip(place, ids[place], token, certain=not found))
    return found


def flip_ranges(
    source: StepSource, ids: Sequence[int], start: int, options: SamplingOptions
) -> list[FlipRange]:
    """`Engine.flip_ranges`. Raises ValueError for a start outside the text, or top-p."""
    if options.top_p < 1:
        raise ValueError("Flip temperatures are exact only without top-p.")
    return [
        flip_range(logits, ids[place], options, place)
        for place, logits in _logits_of(source, ids, start)
    ]


def _logits_of(source: StepSource, ids: Sequence[int], start: int) -> Iterator[tuple[int, Floats]]:
    """Each place of `ids` from `start` on, and the logits (V,) its token was drawn from."""
    if not 1 <= start <= len(ids):
        raise ValueError(f"The written text starts from 1 to {len(ids)}, not {start}.")
    if start == len(ids):
        return
    place = start
    for step in source.steps(Request(ids[:-1], logits_from=start - 1)):
        for logits in known(step.logits, "logits"):
            yield place, logits
            place += 1


def flip_range(logits: Floats, token: int, options: SamplingOptions, place: int) -> FlipRange:
    """The `FlipRange` of `token`, drawn at `place` from logits (V,) with these options.

    Raises ValueError where it is not what they draw: then no noise explains it.
    """
    if token != choose(logits, options, place):
        raise ValueError(f"Token {token} is not what these options draw at place {place}.")
    scores = logits.astype(np.float64) - float(logits.max())
    noise = gumbel(options.seed, place, len(scores)).astype(np.float64)
    rank = int(np.count_nonzero(scores > scores[token]))
    kept = np.ones(len(scores), bool)
    if 0 < options.top_k < len(scores):
        kept = scores >= np.partition(scores, -options.top_k)[-options.top_k]
    # Times T, every token is a line l + T g: who has more noise overtakes as T rises, and who has
    # a larger logit but less noise as it falls.
    behind, luck = scores[token] - scores, noise - noise[token]
    crossing = np.divide(behind, luck, out=np.zeros_like(scores), where=luck != 0)
    over = np.where(kept & (luck > 0), crossing, np.inf)
    under = np.where(kept & (luck < 0) & (behind < 0), crossing, 0)
    above, below = int(over.argmin()), int(under.argmax())
    let_in = scores[~kept & (options.temperature * luck > behind)]
    return FlipRange(
        place,
        token,
        float(under[below]),
        below if under[below] else None,
        float(over[above]),
        above if math.isfinite(over[above]) else None,
        rank + 1,
        int(np.count_nonzero(scores > let_in.max())) if len(let_in) else None,
    )
