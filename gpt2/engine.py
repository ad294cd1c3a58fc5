"""Engine: a prompt in, plain events out. Tensors stop here; beyond are str, int and numpy."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch

from gpt2.apart import apart
from gpt2.batching import Batcher
from gpt2.by_layer import in_numpy, stacked
from gpt2.clock import Clock
from gpt2.config import GPT2Config
from gpt2.drafting import generate_drafted
from gpt2.generation import Step, generate
from gpt2.model import AttentionRecorder, GPT2Model
from gpt2.model.value_norms import ValueNorms
from gpt2.norms_later import NormsLater
from gpt2.sampling import GREEDY, SamplingOptions
from gpt2.tokenizer import TextStream, Tokenizer

Weights = npt.NDArray[np.float32]
# Requests that one model advances together; more wait.
SLOTS = 8
Finish = Literal["tokens", "end of text", "context", "stopped", "time"]


@dataclass(frozen=True, slots=True)
class Event:
    """What one forward pass brought.

    `token` is the new token (None while a long prompt is being read, and in the last event), `fed`
    how many tokens the pass read, the whole prompt at first; `text` what became readable with it;
    `attention` maps a watched layer to its new rows (H, fed, S), and `norms` (H, fed) says how long
    a vector a head adds to the stream when it reads one fed token alone; `seconds` counts from the
    start of the run and `tokens_per_second` from the first token. The last event, and only that
    one, says in `finish` why the text ends. Of a drafted run, `guess` is the token the draft would
    have had here, if it was asked, and `speed_up` how many times as fast as the model alone it has
    been so far, by its own undrafted passes.
    """

    token: int | None
    fed: int
    text: str
    attention: Mapping[int, Weights]
    seconds: float
    tokens_per_second: float | None
    finish: Finish | None = None
    guess: int | None = None
    speed_up: float | None = None
    norms: Mapping[int, Weights] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AttentionMap:
    """One head on one text: `weights[i, j]` is how much token i read from token j (T, T)."""

    tokens: list[str]
    weights: Weights


class _Seen(Exception):
    """The wanted layer's weights are there."""


class Engine:
    """A model and its tokenizer. Holds nothing of a request, so threads may share it."""

    def __init__(self, model: GPT2Model, tokenizer: Tokenizer, precision: str = "float32") -> None:
        self.model = model
        self.tokenizer = tokenizer
        self.precision = precision
        self._batcher = Batcher(model, SLOTS)
        self._norms = ValueNorms(model)

    @property
    def config(self) -> GPT2Config:
        return self.model.config

    def encode(self, prompt: str, new_tokens: int = 1) -> list[int]:
        """Ids of `prompt`; an empty one starts from `<|endoftext|>`, as GPT-2's own samples do.

        Raises ValueError when it leaves no room for `new_tokens`.
        """
        ids = self.tokenizer.encode(prompt) or [self.tokenizer.end_of_text]
        most = self.config.max_seq_len - new_tokens
        if len(ids) > most:
            what = "prompt" if new_tokens else "text"
            raise ValueError(
                f"The {what} has {len(ids):,} tokens and this model reads at most {most:,}. "
                f"Shorten it by {len(ids) - most:,}."
            )
        return ids

    def complete(
        self, prompt: str, options: SamplingOptions | None = None, new_tokens: int = 100
    ) -> str:
        """The text GPT-2 writes after `prompt`: up to `new_tokens`, the context, or its own end.

        Raises ValueError for a prompt that is too long.
        """
        return "".join(event.text for event in self.stream(prompt, options, new_tokens))

    def stream(
        self,
        prompt: str | Sequence[int],
        options: SamplingOptions | None = None,
        new_tokens: int = 100,
        attention: Collection[int] | Callable[[], Collection[int]] = (),
        stopped: Callable[[], bool] = lambda: False,
        draft: Engine | None = None,
        paced: bool = False,
    ) -> Iterator[Event]:
        """`complete`, token by token. `prompt` is text, or the ids of an earlier run to go on with.

        `attention` names the layers to watch, or is a function that names them anew for every
        token; watching none costs nothing. A true `stopped()` ends the run within one token.
        `draft`, a smaller model of the same vocabulary, guesses ahead (`gpt2.drafting`): the same
        text, sooner or later. Passes are made ahead of whoever reads the events, unless `paced`.
        Raises ValueError for a prompt that is too long or another vocabulary, before the first
        event.
        """
        ids = self.encode(prompt) if isinstance(prompt, str) else list(prompt)
        room = self.config.max_seq_len - len(ids)
        steps = self._steps(
            ids,
            min(new_tokens, max(room, 0)),
            options or SamplingOptions(),
            attention if callable(attention) else lambda: attention,
            stopped,
            draft,
            paced,
        )
        return self._events(steps, "context" if room < new_tokens else "tokens", stopped)

    def _steps(
        self,
        ids: Sequence[int],
        new_tokens: int,
        options: SamplingOptions,
        watched: Callable[[], Collection[int]],
        stopped: Callable[[], bool],
        draft: Engine | None,
        paced: bool = False,
    ) -> Iterator[Step]:
        if draft is not None and draft.tokenizer.name != self.tokenizer.name:
            raise ValueError("A draft needs the same vocabulary: this one has another tokenizer.")
        if draft is None:
            return self._batcher.generate(ids, new_tokens, options, watched, stopped, paced)
        return generate_drafted(self.model, draft.model, ids, new_tokens, options, watched, stopped)

    def _events(
        self, steps: Iterator[Step], limit: Finish, stopped: Callable[[], bool]
    ) -> Iterator[Event]:
        decoder = TextStream(self.tokenizer)
        clock = Clock()
        finish: Finish | None = None
        with closing(NormsLater(self._norms)) as norms_later:
            for step in steps:
                text = ""
                if step.token in self.tokenizer.ends:
                    finish = "end of text"
                elif step.token is not None:
                    text = decoder.feed(step.token)
                clock.count(step)
                rows, values = in_numpy(step.attention), in_numpy(step.values)
                norms = norms_later(list(values), stacked(values)) if values else {}
                done = clock.tokens_per_second, None, step.guess, step.speed_up, norms
                yield Event(step.token, step.fed, text, rows, clock.seconds, *done)
                if finish:
                    break
            finish = finish or ("stopped" if stopped() else limit)
            rest = decoder.flush()  # told before the last norms are worked out
            yield Event(None, 0, rest, {}, clock.seconds, clock.tokens_per_second, finish)

    def generate_ids(
        self,
        ids: Sequence[int],
        new_tokens: int,
        options: SamplingOptions = GREEDY,
        draft: Engine | None = None,
    ) -> list[int]:
        """Exactly `new_tokens` new ids after `ids`, whatever they are, `<|endoftext|>` included.

        Raises ValueError when they do not fit the context.
        """
        steps = self._steps(ids, new_tokens, options, tuple, lambda: False, draft)
        return [step.token for step in steps if step.token is not None]

    def attention(self, text: str, layer: int, head: int) -> AttentionMap:
        """The map of one head over `text`; layer and head count from 0.

        Raises ValueError when there is no such layer or head, or the text is too long.
        """
        if not 0 <= head < self.config.num_heads:
            raise ValueError(f"Head must be from 0 to {self.config.num_heads - 1}, not {head}.")
        ids = self.encode(text, new_tokens=0)
        tokens = [self.tokenizer.token_bytes(i).decode("utf-8", "backslashreplace") for i in ids]
        return AttentionMap(tokens, self.attention_rows(ids, layer)[head])

    @apart
    def read(self, ids: Sequence[int], see: Callable[[int, int, Weights, Weights], None]) -> None:
        """`ids` piece by piece, as a run reads its prompt.

        `see(layer, first, rows, norms)` gets of each piece, layer after layer, the rows (H, fed, S)
        of the tokens from `first` on and, as in `Event`, (H, fed). Raises ValueError when the text
        is empty or too long.
        """
        layers = range(self.config.num_blocks)
        first = 0
        for step in generate(self.model, ids, 0, GREEDY, lambda: layers):
            norms = self._norms(layers, stacked(in_numpy(step.values)))
            for layer, rows in in_numpy(step.attention).items():
                see(layer, first, rows, norms[layer])
            first += step.fed

    @apart
    @torch.inference_mode()
    def attention_rows(self, ids: Sequence[int], layer: int) -> Weights:
        """All heads of one layer over `ids`: (H, T, T), by one forward pass.

        Raises ValueError when there is no such layer, or the text is too long.
        """
        if not 0 <= layer < self.config.num_blocks:
            raise ValueError(f"Layer must be from 0 to {self.config.num_blocks - 1}, not {layer}.")
        kept: list[torch.Tensor] = []

        def keep(_: int, weights: torch.Tensor) -> None:
            kept.append(weights)
            raise _Seen

        recorder = AttentionRecorder(lambda n: n == layer, keep)
        device = self.model.ln_f.weight.device
        # The blocks above would be computed for nothing.
        with suppress(_Seen):
            self.model.hidden(torch.tensor([list(ids)], device=device), attend=recorder)
        rows: Weights = kept[0][0].float().cpu().numpy()
        return rows
