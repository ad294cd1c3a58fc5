"""What drafting brings: the guesses two rules would keep, and the speed from end to end."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn

from gpt2.draft_length import MOST_DRAFTED, expected_tokens
from gpt2.drafting import generate_drafted
from gpt2.generation import Step, generate
from gpt2.model import Cache, GPT2Model
from gpt2.sampling import SamplingOptions, choose, filtered


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


@torch.inference_mode()
def kept(model: GPT2Model, draft: GPT2Model, ids: Sequence[int], options: SamplingOptions) -> Kept:
    """Both shares over every place of a text, the draft's guess drawn once for each."""
    text = torch.tensor([list(ids)])
    same = overlap = 0.0
    for place, (ours, theirs) in enumerate(zip(model(text)[0], draft(text)[0], strict=True), 1):
        same += choose(ours, options, place) == choose(theirs, options, place)
        pair = (filtered(row, options).softmax(-1) for row in (ours, theirs))
        overlap += float(torch.minimum(*pair).sum())
    return Kept(same / len(ids), overlap / len(ids))


def gain(
    model: GPT2Model,
    draft: GPT2Model,
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
        alone.append(_speed(generate(model, ids, new_tokens, options), []))
        steps = generate_drafted(model, draft, ids, new_tokens, options)
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


class Foreseeing(nn.Module):
    """A draft that costs what `draft` costs and is right with the probability it is given.

    It makes every pass of the real draft, then names the token of `text` that comes next, or,
    `1 - acceptance` of the time, another one. Which places these are is a hash of the place.
    """

    def __init__(self, draft: GPT2Model, text: Sequence[int], acceptance: float) -> None:
        super().__init__()
        self.draft = draft
        self.config = draft.config
        self.ln_f = draft.ln_f
        self.wte = self
        self._text = list(text)
        self._place = 0
        luck = torch.Generator().manual_seed(1)
        self._right = torch.rand(len(self._text), generator=luck) < acceptance

    def hidden(self, ids: Tensor, cache: Cache, attend: Any = None) -> Tensor:
        """The real draft's stream; remembers which place it ends at."""
        stream = self.draft.hidden(ids, cache, attend)
        self._place = cache.length
        return stream

    def logits(self, x: Tensor) -> Tensor:
        """The real draft's logits, with the token it is to name far above all others."""
        logits = self.draft.wte.logits(x).clone()
        token = self._text[self._place]
        logits[token if self._right[self._place] else token - 1] += 1e4
        return logits


def _speed(steps: Iterator[Step], right: list[bool]) -> float:
    """Tokens per second after the first one; adds whether each judged guess was right."""
    times = []
    for step in steps:
        times.append(time.perf_counter())
        if step.guess is not None:
            right.append(step.guess == step.token)
    return (len(times) - 1) / (times[-1] - times[0])
