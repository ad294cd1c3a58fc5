"""How surprised a model is by a text, and what it expects next: what comparing models rests on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gpt2.engine import Engine
from gpt2.sampling import SamplingOptions, filtered, softmax

Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Score:
    """-log2 of the probability a model gave to each token of a text, in bits (Shannon 1951)."""

    ids: list[int]
    bits: Doubles  # (T,)
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


def score(engine: Engine, text: str) -> Score:
    """Every token of `text`, the first one too: before it stands `<|endoftext|>`, as in training.

    Raises ValueError for an empty text, or one longer than the context.
    """
    ids = encode_text(engine, text)
    bits = np.empty(len(ids))
    done = 0
    for logits in engine.logits_by_piece([engine.tokenizer.end_of_text, *ids[:-1]]):
        end = done + len(logits)
        bits[done:end] = _bits(logits, np.array(ids[done:end]))
        done = end
    return Score(ids, bits, len(text.encode("utf-8")))


def next_tokens(engine: Engine, text: str, options: SamplingOptions, count: int = 10) -> NextTokens:
    """What may follow `text`, which may be empty, under `options`.

    Raises ValueError for a text that fills the context.
    """
    ids = engine.encode(text)
    *_, last = engine.logits_by_piece(ids, start=len(ids) - 1)
    before, after = distributions(last[-1], options)
    best = np.argsort(-before, kind="stable")[:count]
    possible = before[before > 0]
    return NextTokens(
        [Candidate(int(token), float(before[token]), float(after[token])) for token in best],
        int((after > 0).sum()),
        float(-(possible * np.log2(possible)).sum()),
    )


def distributions(logits: npt.ArrayLike, options: SamplingOptions) -> tuple[Doubles, Doubles]:
    """Probabilities (V,) of the model, and of what `options` make of them, in float64."""
    scores = np.asarray(logits, np.float64)
    before = softmax(scores)
    if options.temperature == 0:
        after = np.zeros_like(before)
        after[scores.argmax()] = 1
        return before, after
    return before, softmax(filtered(logits, options).astype(np.float64))


def _bits(logits: npt.NDArray[np.float32], targets: npt.NDArray[np.int64]) -> Doubles:
    """-log2 p of `targets` (T,) under logits (T, V)."""
    most = logits.max(axis=-1, keepdims=True)
    total = np.exp(logits - most).sum(axis=-1, dtype=np.float64)
    chosen = logits[np.arange(len(targets)), targets].astype(np.float64) - most[:, 0]
    bits: Doubles = (np.log(total) - chosen) / np.log(2)
    return bits
