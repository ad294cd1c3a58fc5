"""How surprised a model is by a text, and what it expects next: what comparing models rests on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from gpt2.apart import apart
from gpt2.engine import Engine
from gpt2.sampling import SamplingOptions, filtered

# The head is as wide as the vocabulary: so many rows of logits at a time, not all of a long text.
_ROWS = 64


@dataclass(frozen=True, slots=True)
class Score:
    """-log2 of the probability a model gave to each token of a text, in bits (Shannon 1951)."""

    ids: list[int]
    bits: npt.NDArray[np.float64]  # (T,)
    text_bytes: int

    @property
    def total_bits(self) -> float:
        return float(self.bits.sum())

    @property
    def bits_per_byte(self) -> float:
        """Comparable between vocabularies, which the loss per token is not."""
        return self.total_bits / self.text_bytes


@dataclass(frozen=True, slots=True)
class Candidate:
    """A token that may come next: its probability, and what sampling makes of it."""

    token: int
    before: float
    after: float


@dataclass(frozen=True, slots=True)
class NextTokens:
    """The likeliest tokens, likeliest first; `before` and `after` of all tokens each sum to 1.

    `kept` is how many tokens temperature, top-k and top-p leave, `entropy` the uncertainty before
    them, in bits.
    """

    likeliest: list[Candidate]
    kept: int
    entropy: float


def encode_text(engine: Engine, text: str) -> list[int]:
    """Ids of a text to score. Raises ValueError when it is empty or longer than the context."""
    if not text:
        raise ValueError("There is no text to score.")
    return engine.encode(text, new_tokens=0)


@apart
@torch.inference_mode()
def score(engine: Engine, text: str) -> Score:
    """Every token of `text`, the first one too: before it stands `<|endoftext|>`, as in training.

    Raises ValueError for an empty text, or one longer than the context.
    """
    ids = encode_text(engine, text)
    hidden = _hidden(engine, [engine.tokenizer.end_of_text, *ids[:-1]])  # (T, C)
    targets = torch.tensor(ids, device=hidden.device)
    bits = [
        _bits(engine.model.wte.logits(hidden[i : i + _ROWS]), targets[i : i + _ROWS])
        for i in range(0, len(ids), _ROWS)
    ]
    return Score(ids, torch.cat(bits).cpu().numpy(), len(text.encode("utf-8")))


@apart
@torch.inference_mode()
def next_tokens(engine: Engine, text: str, options: SamplingOptions, count: int = 10) -> NextTokens:
    """What may follow `text`, which may be empty, under `options`.

    Raises ValueError for a text that fills the context.
    """
    ids = engine.encode(text)
    logits = engine.model.wte.logits(_hidden(engine, ids)[-1])
    before, after = distributions(logits, options)
    best = before.topk(min(count, len(before))).indices.tolist()
    entropy = -torch.xlogy(before, before).sum() / math.log(2)
    return NextTokens(
        [Candidate(token, float(before[token]), float(after[token])) for token in best],
        int((after > 0).sum()),
        float(entropy),
    )


def distributions(logits: Tensor, options: SamplingOptions) -> tuple[Tensor, Tensor]:
    """Probabilities (V,) of the model, and of what `options` make of them, in float64."""
    before = logits.double().softmax(-1)
    if options.temperature == 0:
        after = torch.zeros_like(before)
        after[logits.argmax()] = 1
        return before, after
    return before, filtered(logits, options).double().softmax(-1)


def _hidden(engine: Engine, ids: Sequence[int]) -> Tensor:
    device = engine.model.ln_f.weight.device
    return engine.model.hidden(torch.tensor([list(ids)], device=device))[0]


def _bits(logits: Tensor, targets: Tensor) -> Tensor:
    """-log2 p of `targets` (T,) under logits (T, V), in float64."""
    chosen = logits.float().log_softmax(-1).gather(-1, targets[:, None])[:, 0]
    return chosen.double() / -math.log(2)
