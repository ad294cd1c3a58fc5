"""One visitor against many on one loaded model: speed together, pauses, and every text replayed."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from gpt2.engine import Engine
from gpt2.sampling import SamplingOptions

_WARM = 0.8  # temperature: drawing a token is part of what a visitor costs


@dataclass(frozen=True, slots=True)
class Visits:
    """Each of `visitors` sends a prompt of `prompt` tokens and wants `new_tokens`."""

    visitors: int
    prompt: int
    new_tokens: int
    rounds: int


@dataclass(frozen=True, slots=True)
class Pace:
    """Tokens per second of all together, prompts and first tokens included; the 95th percentile
    of the seconds between two tokens of one text.
    """

    tokens_per_second: float
    gap: float


@dataclass(frozen=True, slots=True)
class BatchedSpeed:
    """Medians over the rounds. `different` counts texts that were not what their visitor gets when
    nobody else is there.
    """

    alone: Pace
    batched: Pace
    different: int


def measure_visits(engine: Engine, visits: Visits) -> BatchedSpeed:
    """One and many in turns, so that a drifting machine drifts for both; then each text alone."""
    _crowd(engine, range(1), visits)  # warms up
    alone, batched = [], []
    for _ in range(visits.rounds):
        alone.append(_crowd(engine, range(1), visits)[0])
        pace, texts = _crowd(engine, range(visits.visitors), visits)
        batched.append(pace)
    different = sum(_visit(engine, number, visits)[0] != text for number, text in enumerate(texts))
    return BatchedSpeed(_middle(alone), _middle(batched), different)


def _crowd(engine: Engine, who: range, visits: Visits) -> tuple[Pace, list[list[int]]]:
    """Everybody at once, each in a thread of its own, as on the page."""
    texts: list[list[int]] = [[] for _ in who]
    gaps: list[float] = []

    def visit(number: int) -> None:
        texts[number], times = _visit(engine, number, visits)
        gaps.extend(later - earlier for earlier, later in pairwise(times))

    threads = [threading.Thread(target=visit, args=(number,)) for number in who]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - began
    return Pace(sum(map(len, texts)) / seconds, percentile(gaps, 0.95)), texts


def _visit(engine: Engine, number: int, visits: Visits) -> tuple[list[int], list[float]]:
    """One visitor's new tokens, and when each came."""
    vocabulary = engine.config.vocab_size - 1  # all but <|endoftext|>
    ids = [(7919 * number + 104_729 * place) % vocabulary for place in range(visits.prompt)]
    text, times = [], []
    for event in engine.stream(ids, SamplingOptions(_WARM, seed=number), visits.new_tokens):
        if event.token is not None:
            text.append(event.token)
            times.append(time.perf_counter())
    return text, times


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` of all do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def _middle(paces: list[Pace]) -> Pace:
    return Pace(median(p.tokens_per_second for p in paces), median(p.gap for p in paces))
