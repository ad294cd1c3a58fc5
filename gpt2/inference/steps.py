"""What is asked of a model and what comes back: a `Request` in, one `Step` per forward pass out.

Ids and arrays only; it knows no text. Everything here but functions can be pickled, since a
`StepSource` may be another process.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from gpt2.config import GPT2Config
from gpt2.inference.executor import Floats, Head, Site
from gpt2.inference.likelihoods import Choice
from gpt2.sampling import GREEDY, SamplingOptions

# Of a piece of a prompt, weights times tokens: a fifth of a second to a second of two cores.
PIECE_WORK = 2**36
_LEAST_PIECE, _MOST_PIECE, _STEP = 128, 512, 64
_LOGITS = 2**22  # numbers that a pass hands out at the most: 16 MB


def never() -> bool:
    """What is not stopped; unlike a lambda it can be pickled."""
    return False


class NotFinite(ArithmeticError):
    """The model gave numbers that are no probabilities."""


@dataclass(frozen=True, slots=True)
class Step:
    """One forward pass over `fed` tokens, or a draft's guess that was right.

    `token` is the new token, or None while the prompt is not read to its end. `attention` holds
    (H, fed, S) for each watched layer: row i is what token i looked at while predicting token
    i + 1, so the newest token of all has no row yet. Where a draft guessed this token, `guess` is
    what it guessed, right or wrong; `speed_up` is what drafting has brought so far. `values`
    (H, fed, D) is what the fed tokens offer to be read there; `logits` (K, V) are those of the fed
    tokens from `Request.logits_from` on, `residual` (fed, 2 L + 1, C) and `heads` (fed, L, H, D)
    are as in `executor.Pass`. `choice` says how likely `token` was, where `Request.numbers` asks.
    """

    token: int | None
    fed: int
    attention: Mapping[int, Floats] = field(default_factory=dict)
    guess: int | None = None
    speed_up: float | None = None
    values: Mapping[int, Floats] = field(default_factory=dict)
    logits: Floats | None = None
    residual: Floats | None = None
    heads: Floats | None = None
    choice: Choice | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """`ids` to read, and how many tokens to choose after them, how.

    `watched()`, the layers whose attention to hand out, and `stopped()` are asked before every
    pass. A `paced` run advances only as its steps are taken. `draft` guesses ahead: the same text,
    sooner or later. `logits_from` is the first place of `ids` whose logits are handed out.
    `residual`, `heads`, `heads_off`, `positions` and `stream` are as in `executor.Watch`, of this
    run alone; `residual` may be a function, asked before every pass. Heads are off from position
    `off_from` on, and a piece of the prompt ends before it. `numbers` asks for the `Choice` of so
    many likeliest tokens beside each new one; 0 asks for none. The first of the new tokens are
    `forced`: taken as they are, in passes of the same bits as if they had been chosen.
    """

    ids: Sequence[int]
    new_tokens: int = 0
    options: SamplingOptions = GREEDY
    watched: Callable[[], Collection[int]] = tuple
    stopped: Callable[[], bool] = never
    paced: bool = False
    draft: StepSource | None = None
    logits_from: int | None = None
    residual: bool | Callable[[], bool] = False
    heads_off: Mapping[Head, Floats | None] = field(default_factory=dict)
    positions: Mapping[int, int] = field(default_factory=dict)
    heads: bool = False
    stream: Mapping[Site, Floats] = field(default_factory=dict)
    off_from: int = 0
    numbers: int = 0
    forced: Sequence[int] = ()

    @property
    def wants_residual(self) -> bool:
        """Whether the next pass hands out the residual stream."""
        return self.residual() if callable(self.residual) else self.residual


class StepSource(Protocol):
    """Where steps come from: a scheduler of this process, a lent GPU, a machine of a cluster."""

    @property
    def config(self) -> GPT2Config:
        """The model's shape."""

    @property
    def precision(self) -> str:
        """In which numbers it computes."""

    @property
    def value_grams(self) -> Floats:
        """`Executor.value_grams`."""

    def steps(self, request: Request) -> Iterator[Step]:
        """The steps of one run. Closing the iterator ends it within a pass.

        Raises ValueError (`check_request`) before the first pass, and what went wrong after the
        steps that went well: `NotFinite`, or what the model raised.
        """

    def close(self) -> None:
        """End every run and give the model's memory back."""


def check_request(request: Request, config: GPT2Config) -> None:
    """Raises ValueError unless there is a prompt, prompt and new tokens fit the context, and the
    draft, if any, counts its tokens as the model does."""
    count, new_tokens = len(request.ids), request.new_tokens
    if not count:
        raise ValueError("There is no token to start from.")
    if new_tokens < 0:
        raise ValueError(f"New tokens must be 0 or more, not {new_tokens}.")
    if count + new_tokens > config.max_seq_len:
        raise ValueError(
            f"{count} tokens and {new_tokens} new ones are more than the {config.max_seq_len} "
            "this model can read."
        )
    if len(request.forced) > new_tokens:
        raise ValueError(f"There is no room for {len(request.forced)} forced tokens.")
    for token in (*request.ids, *request.forced):
        if not 0 <= token < config.vocab_size:
            raise ValueError(f"Token id {token} is not in a vocabulary of {config.vocab_size:,}.")
    _check_heads(request, config)
    if request.draft is not None:
        check_draft(config, request.draft.config)


def _check_heads(request: Request, config: GPT2Config) -> None:
    for layer, head in request.heads_off:
        if not (0 <= layer < config.num_blocks and 0 <= head < config.num_heads):
            raise ValueError(
                f"There is no head {layer}.{head}: layers count from 0 to {config.num_blocks - 1}, "
                f"heads from 0 to {config.num_heads - 1}."
            )
    for instead in request.heads_off.values():
        if instead is not None:
            fed = max(len(request.ids), len(request.ids) + request.new_tokens - 1)
            _check_vector(instead, config.hidden_dimension, fed)
    for stream in request.stream.values():
        _check_vector(stream, config.embedding_dimension, 0)
    for place in (*request.positions, *request.positions.values()):
        if not 0 <= place < config.max_seq_len:
            raise ValueError(f"Position must be from 0 to {config.max_seq_len - 1}, not {place}.")


def _check_vector(vector: Floats, width: int, rows: int) -> None:
    """Compiled code reads as many numbers as it needs: they must be there.

    A table with a row for each of at least `rows` positions may stand in for a vector, if any.
    """
    shape = np.shape(vector)
    if shape != (width,) and not (
        rows and len(shape) == 2 and shape[1] == width and shape[0] >= rows
    ):
        raise ValueError(f"What stands in must have {width} numbers, not the shape {shape}.")
    if not np.isfinite(vector).all():
        raise ValueError("What stands in must be made of finite numbers.")


def check_draft(model: GPT2Config, draft: GPT2Config) -> None:
    """Raises ValueError unless both models count their tokens alike."""
    if model.vocab_size != draft.vocab_size:
        raise ValueError(
            f"A draft needs the same vocabulary: this model has {model.vocab_size:,} tokens, "
            f"the draft {draft.vocab_size:,}."
        )


def piece_length(config: GPT2Config) -> int:
    """How many tokens of a prompt are read at once; in between Stop is noticed and others write.

    Long pieces take less time in all, but of a large model each would take seconds. This depends on
    nothing but the model: cut in other places, a prompt may be summed in another order.
    """
    affordable = PIECE_WORK // config.num_parameters // _STEP * _STEP
    return max(_LEAST_PIECE, min(affordable, _MOST_PIECE))


def logits_at_once(config: GPT2Config) -> int:
    """How many rows of logits a pass hands out: they are as wide as the vocabulary."""
    return max(_STEP, _LOGITS // config.vocab_size // _STEP * _STEP)
