"""Drafting: a small model guesses the next tokens, the large one checks them all in one pass.

Speculative sampling (Leviathan et al. 2023; Chen et al. 2023), with the coupling of Daliri et al.
(2024): draft and model meet the same Gumbel noise at the same place, and a guess is kept when it is
the very token the model chooses there. So the text is the one the model writes alone, token for
token and seed by seed (in int8 to the last bit; elsewhere a near tie may fall the other way, as
several rows are summed in another order than one); the draft only decides how fast it comes. What
that costs against their rule of acceptance is measured by `python -m gpt2 bench-drafting`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Sequence

import torch
from torch import Tensor

from gpt2.draft_length import DraftLength, Round
from gpt2.generation import Step, check_room, piece_length, record
from gpt2.model import AttentionRecorder, GPT2Model, KVCache, RowByRow
from gpt2.sampling import SamplingOptions, choose


def check_draft(model: GPT2Model, draft: GPT2Model) -> None:
    """Raises ValueError unless both models count their tokens alike."""
    ours, theirs = model.config.vocab_size, draft.config.vocab_size
    if ours != theirs:
        raise ValueError(
            f"A draft needs the same vocabulary: this model has {ours:,} tokens, "
            f"the draft {theirs:,}."
        )


def generate_drafted(
    model: GPT2Model,
    draft: GPT2Model,
    ids: Sequence[int],
    new_tokens: int,
    options: SamplingOptions,
    watched: Callable[[], Collection[int]] = tuple,
    stopped: Callable[[], bool] = lambda: False,
) -> Iterator[Step]:
    """`gpt2.generation.generate`, the same steps, with `draft` guessing ahead.

    A pass that checks guesses yields one step for every token it settles. Raises ValueError
    (`check_room`, `check_draft`) before the first pass.
    """
    check_room(ids, new_tokens, model.config.max_seq_len)
    check_draft(model, draft)
    end = len(ids) + new_tokens
    return _Drafted(model, draft, list(ids), end, options, watched, stopped).steps()


class _Reading:
    """How far one model has read a text that both share, and what it remembers of it."""

    def __init__(self, model: GPT2Model, capacity: int) -> None:
        self.model = model
        weight = model.ln_f.weight
        self._device = weight.device
        self._cache = KVCache(model.config, capacity, 1, weight.dtype, weight.device)

    @property
    def length(self) -> int:
        return self._cache.length

    def read(self, ids: Sequence[int], attend: AttentionRecorder | None = None) -> Tensor:
        """Read `ids` after what was read before: the stream before the head, (T, C)."""
        fed = torch.tensor([ids], device=self._device)
        return self.model.hidden(fed, self._cache, attend)[0]

    def keep(self, length: int) -> None:
        """Roll back to `length` tokens, if it has read further."""
        self._cache.rewind(min(length, self._cache.length))


class _Drafted:
    """One run."""

    def __init__(
        self,
        model: GPT2Model,
        draft: GPT2Model,
        ids: list[int],
        end: int,
        options: SamplingOptions,
        watched: Callable[[], Collection[int]],
        stopped: Callable[[], bool],
    ) -> None:
        self._ids = ids
        self._end = end
        self._options = options
        self._watched = watched
        self._stopped = stopped
        # The last token chosen is never fed.
        self._reader = _Reading(model, max(len(ids), end - 1))
        self._draft_reads = min(end, draft.config.max_seq_len)
        self._draft = _Reading(draft, self._draft_reads)
        self._length = DraftLength()

    @torch.inference_mode()
    def steps(self) -> Iterator[Step]:
        """The prompt piece by piece, then round after round."""
        prompt = len(self._ids)
        while self._reader.length < prompt and not self._stopped():
            yield self._read_prompt()
        while prompt < len(self._ids) < self._end and not self._stopped():
            yield from self._round()

    def _read_prompt(self) -> Step:
        seen: dict[int, Tensor] = {}
        values: dict[int, Tensor] = {}
        start = self._reader.length
        fed = self._ids[start : start + piece_length(self._reader.model.config)]
        hidden = self._reader.read(fed, record(seen, self._watched(), values))
        token = None
        if self._reader.length == len(self._ids) < self._end:
            token = self._settle(hidden[-1:], [])[0]
            self._ids.append(token)
        return Step(token, len(fed), seen, values=values)

    def _round(self) -> Iterator[Step]:
        """Guess some tokens, check them in one pass, keep those that are right and one more."""
        began = time.perf_counter()
        before = len(self._ids)
        # Every round settles one token more than it guesses right.
        room = min(self._end, self._draft_reads) - before - 1
        count = self._length.next(max(0, room))
        if count:
            self._catch_up()
        caught_up = time.perf_counter()
        guesses = self._guess(count)
        guessed = time.perf_counter()
        seen: dict[int, Tensor] = {}
        values: dict[int, Tensor] = {}
        fed = [self._ids[-1], *guesses]
        # Row by row: where many sum in another order, a guess near a tie would be judged otherwise.
        hidden = self._reader.read(fed, record(seen, self._watched(), values, RowByRow()))
        tokens = self._settle(hidden, guesses)
        self._ids += tokens
        for reading in (self._reader, self._draft):
            reading.keep(len(self._ids) - 1)
        ended = time.perf_counter()
        self._length.note(
            Round(
                drafted=count,
                judged=min(len(tokens), count),
                accepted=len(tokens) - 1,
                guessing=guessed - caught_up,
                checking=ended - guessed,
                whole=ended - began,
            )
        )
        for i, token in enumerate(tokens):
            rows = {layer: w[:, i : i + 1, : before + i] for layer, w in seen.items()}
            guess = guesses[i] if i < count else None
            offered = {layer: v[:, i : i + 1] for layer, v in values.items()}
            yield Step(token, 1, rows, guess, self._length.speed_up, offered)

    def _catch_up(self) -> None:
        """Let the draft read what was settled without it: the prompt, or a while of rounds."""
        piece = piece_length(self._draft.model.config)
        while self._draft.length < len(self._ids) - 1:
            start = self._draft.length
            self._draft.read(self._ids[start : min(start + piece, len(self._ids) - 1)])

    def _guess(self, count: int) -> list[int]:
        """The draft's own next `count` tokens."""
        text = list(self._ids)
        for _ in range(count):
            hidden = self._draft.read(text[self._draft.length :])
            logits = self._draft.model.wte.logits(hidden[-1])
            text.append(choose(logits, self._options, len(text)))
        return text[len(self._ids) :]

    def _settle(self, hidden: Tensor, guesses: list[int]) -> list[int]:
        """The model's own tokens after `hidden` (T, C), up to the first that was not guessed."""
        tokens: list[int] = []
        for row, logits in enumerate(self._reader.model.wte.logits(hidden)):  # (V,)
            tokens.append(choose(logits, self._options, len(self._ids) + row))
            if row == len(guesses) or tokens[row] != guesses[row]:
                break
        return tokens
