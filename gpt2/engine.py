"""Engine: a prompt in, plain events out. Nothing but str, int and NumPy arrays leaves it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

from gpt2.config import GPT2Config
from gpt2.inference.clock import Clock
from gpt2.inference.executor import Executor
from gpt2.inference.lazy_norms import LazyNorms, value_norms
from gpt2.inference.scheduler import Scheduler
from gpt2.inference.steps import Request, Step, StepSource
from gpt2.inference.torch_executor import TorchExecutor
from gpt2.layer_stack import stacked
from gpt2.model import GPT2Model
from gpt2.sampling import GREEDY, SamplingOptions
from gpt2.tokenizer import TextStream, Tokenizer

Weights = npt.NDArray[np.float32]
# Requests that one model advances together; more wait.
SLOTS = 8
EXECUTOR_SLOTS = 2 * SLOTS  # the others are for runs that this model drafts
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


def schedule(executor: Executor) -> Scheduler:
    """What runs an engine's requests."""
    return Scheduler(executor, SLOTS)


def schedule_model(model: GPT2Model) -> Scheduler:
    """The same for the readable model."""
    # The memory of a slot is taken as a text grows into it, but on a GPU at once.
    slots = SLOTS if model.ln_f.weight.is_cuda else EXECUTOR_SLOTS
    return schedule(TorchExecutor(model, slots))


class Engine:
    """A model and its tokenizer. Holds nothing of a request, so threads may share it.

    `source` is what makes the passes, `load_model` gives the readable model when somebody asks for
    it, and `note` is a sentence for people about how it computes, or empty.
    """

    def __init__(
        self,
        source: StepSource,
        tokenizer: Tokenizer,
        load_model: Callable[[], GPT2Model],
        note: str = "",
    ) -> None:
        self.source = source
        self.tokenizer = tokenizer
        self.note = note
        self._load_model = load_model
        self._model: GPT2Model | None = None
        self._model_lock = threading.Lock()
        self._closed = False

    @classmethod
    def from_model(cls, model: GPT2Model, tokenizer: Tokenizer) -> Engine:
        """An engine of a model in memory, on the device and in the floats it has."""
        return cls(schedule_model(model), tokenizer, lambda: model)

    @property
    def config(self) -> GPT2Config:
        """The model's shape."""
        return self.source.config

    @property
    def precision(self) -> str:
        """In which numbers it computes."""
        return self.source.precision

    @property
    def model(self) -> GPT2Model:
        """The readable model: read now, in float32, where only packed weights are in memory."""
        with self._model_lock:  # it may be gigabytes
            if self._model is None:
                self._model = self._load_model()
            return self._model

    def change_to(self, executor: Executor) -> None:
        """Make passes by `executor` from the next run on. Runs that go on end as they began."""
        self.note = ""
        self.source = schedule(executor)
        if self._closed:  # in the meantime
            self.source.close()

    def close(self) -> None:
        """End every run, and give the memory back; it cannot be used any more."""
        self._closed = True
        self.source.close()

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
        `draft`, a smaller model of the same vocabulary, guesses ahead (`gpt2.inference`): the same
        text, sooner or later. Passes are made ahead of whoever reads the events, unless `paced`.
        Raises ValueError for a prompt that is too long or another vocabulary, before the first
        event.
        """
        ids = self.encode(prompt) if isinstance(prompt, str) else list(prompt)
        room = self.config.max_seq_len - len(ids)
        request = Request(
            ids,
            min(new_tokens, max(room, 0)),
            options or SamplingOptions(),
            attention if callable(attention) else lambda: attention,
            stopped,
            paced,
            draft.source if draft else None,
        )
        if draft is not None and draft.tokenizer.name != self.tokenizer.name:
            raise ValueError("A draft needs the same vocabulary: this one has another tokenizer.")
        limit: Finish = "context" if room < new_tokens else "tokens"
        return self._events(self.source.steps(request), limit, stopped)

    def _events(
        self, steps: Iterator[Step], limit: Finish, stopped: Callable[[], bool]
    ) -> Iterator[Event]:
        decoder = TextStream(self.tokenizer)
        clock = Clock()
        finish: Finish | None = None
        with closing(LazyNorms(self._norms_of())) as lazy_norms:
            for step in steps:
                text = ""
                if step.token in self.tokenizer.ends:
                    finish = "end of text"
                elif step.token is not None:
                    text = decoder.feed(step.token)
                clock.count(step.token)
                norms = lazy_norms(list(step.values), stacked(step.values)) if step.values else {}
                yield Event(
                    step.token,
                    step.fed,
                    text,
                    step.attention,
                    clock.seconds,
                    clock.tokens_per_second,
                    None,
                    step.guess,
                    step.speed_up,
                    norms,
                )
                if finish:
                    break
            finish = finish or ("stopped" if self._closed or stopped() else limit)
            rest = decoder.flush()  # told before the last norms are worked out
            yield Event(None, 0, rest, {}, clock.seconds, clock.tokens_per_second, finish)

    def _norms_of(self) -> Callable[[Sequence[int], Weights], Weights]:
        # The source of this moment: another may have taken its place when the norms are wanted.
        source = self.source
        return lambda layers, values: value_norms(source.value_grams, layers, values)

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
        request = Request(ids, new_tokens, options, draft=draft.source if draft else None)
        steps = self.source.steps(request)
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

    def read(self, ids: Sequence[int], see: Callable[[int, int, Weights, Weights], None]) -> None:
        """`ids` piece by piece, as a run reads its prompt.

        `see(layer, first, rows, norms)` gets of each piece, layer after layer, the rows (H, fed, S)
        of the tokens from `first` on and, as in `Event`, (H, fed). Raises ValueError when the text
        is empty or too long.
        """
        layers = range(self.config.num_blocks)
        norms_of = self._norms_of()
        first = 0
        for step in self.source.steps(Request(ids, watched=lambda: layers)):
            norms = norms_of(layers, stacked(step.values))
            for layer, rows in step.attention.items():
                see(layer, first, rows, norms[layer])
            first += step.fed

    def attention_rows(self, ids: Sequence[int], layer: int) -> Weights:
        """All heads of one layer over `ids`: (H, T, T).

        Raises ValueError when there is no such layer, or the text is empty or too long.
        """
        if not 0 <= layer < self.config.num_blocks:
            raise ValueError(f"Layer must be from 0 to {self.config.num_blocks - 1}, not {layer}.")
        rows = np.zeros((self.config.num_heads, len(ids), len(ids)), np.float32)
        first = 0
        for step in self.source.steps(Request(ids, watched=lambda: (layer,))):
            end = first + step.fed
            rows[:, first:end, :end] = step.attention[layer]
            first = end
        return rows

    def logits(self, ids: Sequence[int]) -> Weights:
        """What this engine, in its precision, expects after each of `ids`: (T, V).

        Raises ValueError when the text is empty or too long.
        """
        return np.concatenate(list(self.logits_by_piece(ids)))

    def logits_by_piece(self, ids: Sequence[int], start: int = 0) -> Iterator[Weights]:
        """`logits` of the tokens from `start` on, some megabytes at a time."""
        for step in self.source.steps(Request(ids, logits_from=start)):
            assert step.logits is not None
            yield step.logits
