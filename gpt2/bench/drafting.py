"""What drafting brings: the guesses two rules would keep, and the speed from end to end."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np

from gpt2.config import GPT2Config
from gpt2.engine import Engine
from gpt2.inference.draft_length import MOST_DRAFTED, expected_tokens
from gpt2.inference.executor import NOTHING, Executor, Floats, Ints, Pass, Watch
from gpt2.inference.steps import Request, Step, StepSource
from gpt2.sampling import SamplingOptions, choose, filtered, softmax


@dataclass(frozen=True, slots=True)
class Kept:
    """The share of guesses kept: by shared noise (ours), and by the rule of Leviathan et al."""

    shared_noise: float
    rejection: float


@dataclass(frozen=True, slots=True)
class Gain:
    """Tokens per second without and with a draft, and the share of guesses that was right."""

    alone: float
    drafted: float
    acceptance: float

    @property
    def speed_up(self) -> float:
        return self.drafted / self.alone


def kept(engine: Engine, draft: Engine, ids: Sequence[int], options: SamplingOptions) -> Kept:
    """Both shares over every place of a text, the draft's guess drawn once for each."""
    same = overlap = 0.0
    pairs = zip(engine.logits(ids), draft.logits(ids), strict=True)
    for place, (ours, theirs) in enumerate(pairs, 1):
        same += choose(ours, options, place) == choose(theirs, options, place)
        p, q = (softmax(filtered(row, options)) for row in (ours, theirs))
        overlap += float(np.minimum(p, q).sum())
    return Kept(same / len(ids), overlap / len(ids))


def gain(
    source: StepSource,
    draft: StepSource,
    ids: Sequence[int],
    new_tokens: int,
    options: SamplingOptions,
    rounds: int,
) -> Gain:
    """Medians over `rounds` pairs of runs, one without and one with the draft in turn."""
    alone: list[float] = []
    drafted: list[float] = []
    right: list[bool] = []
    for _ in range(rounds):
        alone.append(_speed(source.steps(Request(ids, new_tokens, options)), []))
        steps = source.steps(Request(ids, new_tokens, options, draft=draft))
        drafted.append(_speed(steps, right))
    return Gain(median(alone), median(drafted), sum(right) / max(1, len(right)))


def ceiling(acceptance: float, draft_cost: float, row_cost: float) -> float:
    """The best speed-up of any draft length, costs in passes of the model over one token.

    Leviathan et al. (2023), theorem 3.8, with a pass that takes longer for every further row.
    """
    return max(
        expected_tokens(acceptance, k) / (1 + k * (draft_cost + row_cost))
        for k in range(MOST_DRAFTED + 1)
    )


class Foreseeing:
    """An executor for drafts that costs what `draft` costs and is right as often as it is told.

    It makes every pass of the real draft, then names the token of `text` that comes next, or,
    `1 - acceptance` of the time, another one. Which places these are is a hash of the place.
    """

    def __init__(self, draft: Executor, text: Sequence[int], acceptance: float) -> None:
        self._draft = draft
        self._text = list(text)
        self._right = np.random.default_rng(1).random(len(self._text)) < acceptance
        self.config: GPT2Config = draft.config
        self.precision = draft.precision
        self.slots = draft.slots

    @property
    def value_grams(self) -> Floats:
        """The real draft's."""
        return self._draft.value_grams

    def run(
        self, ids: Ints, positions: Ints, slots: Ints, wanted: Ints, watch: Watch = NOTHING
    ) -> Pass:
        """The real draft's pass, the logit of the token it is to name far above all others."""
        passed = self._draft.run(ids, positions, slots, wanted, watch)
        for row, place in zip(passed.logits, positions[wanted] + 1, strict=True):
            token = self._text[place]
            row[token if self._right[place] else token - 1] += 1e4
        return passed

    def forget(self) -> None:
        """The real draft forgets."""
        self._draft.forget()

    def close(self) -> None:
        """The real draft closes."""
        self._draft.close()


def _speed(steps: Iterator[Step], right: list[bool]) -> float:
    """Tokens per second after the first one; adds whether each judged guess was right."""
    times = []
    for step in steps:
        times.append(time.perf_counter())
        if step.guess is not None:
            right.append(step.guess == step.token)
    return float((len(times) - 1) / (times[-1] - times[0]))
