"""Engine: a prompt in, plain events out. Nothing but str, int and NumPy arrays leaves it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

from gpt2.config import SIZES, GPT2Config
from gpt2.inference.clock import Clock
from gpt2.inference.executor import Executor, Head
from gpt2.inference.layer_stack import stacked
from gpt2.inference.lazy_norms import LazyNorms, value_norms
from gpt2.inference.likelihoods import COUNT, Choice
from gpt2.inference.scheduler import Scheduler
from gpt2.inference.steps import Request, Step, StepSource
from gpt2.inference.torch_executor import TorchExecutor
from gpt2.interpret.attribution import Attribution, Changes, attribution
from gpt2.interpret.effects import Effects, Instead, effects
from gpt2.interpret.flips import Flip, FlipRange, drawn_from, flip_ranges, flips
from gpt2.interpret.lens import Lens, lens
from gpt2.interpret.patching import Patching, patching
from gpt2.interpret.probabilities import TextChoices, probabilities
from gpt2.interpret.reading import Readout, known, read
from gpt2.interpret.token_facts import TokenView, view
from gpt2.model import GPT2Model
from gpt2.precision import FLOAT32, weight_bytes
from gpt2.sampling import GREEDY, SamplingOptions
from gpt2.tokenizer import GPT2_VOCAB_SIZE, TextStream, Tokenizer

Weights = npt.NDArray[np.float32]
# Requests that one model advances together; more wait.
SLOTS = 8
EXECUTOR_SLOTS = 2 * SLOTS  # the others are for runs that this model drafts
Off = Collection[Head] | Mapping[Head, Weights | None]
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
    been so far, by its own undrafted passes. Where they were asked for, `choice` is how likely the
    token was and what else could have come, `residual` (fed, 2 L + 1, C) the residual stream.
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
    choice: Choice | None = None
    residual: Weights | None = None


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
    it, `kept_model` where it is in memory anyway, and `note` is a sentence for people about how it
    computes, or empty.
    """

    def __init__(
        self,
        source: StepSource,
        tokenizer: Tokenizer,
        load_model: Callable[[], GPT2Model],
        note: str = "",
        kept_model: Callable[[], GPT2Model | None] = lambda: None,
    ) -> None:
        self.source = source
        self.tokenizer = tokenizer
        self.note = note
        self._load_model = load_model
        self._kept_model = kept_model
        self._model: GPT2Model | None = None
        self._model_lock = threading.Lock()
        self._readout: Readout | None = None
        self._closed = False
        self.reserve: Callable[[int], None] = lambda size: None
        """Told how many bytes it holds beside the weights, before it takes them and when it has;
        raises where there is no room."""

    @classmethod
    def from_model(cls, model: GPT2Model, tokenizer: Tokenizer) -> Engine:
        """An engine of a model in memory, on the device and in the floats it has."""
        return cls(schedule_model(model), tokenizer, lambda: model, kept_model=lambda: model)

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

    @property
    def readout(self) -> Readout:
        """The weights that give the residual stream a meaning, in float32: for measurements.

        Read when first asked for; of a model whose packed weights alone are in memory, only these
        are kept. Threads may ask at once. Raises what `reserve` raises where there is no room.
        """
        with self._model_lock:
            if self._readout is None:
                config = self.config
                model = self._model or self._kept_model()
                if model is None:  # all of it is read, and given back
                    self.reserve(weight_bytes(config, FLOAT32))
                try:
                    model = model or self._load_model()
                    weights = model.state_dict() | {"wpe.weight": model.wpe.weight}
                    self._readout = Readout.from_weights(
                        weights, config.num_heads, config.layer_norm_epsilon
                    )
                    del model, weights
                finally:
                    self.reserve(self._readout.nbytes if self._readout else 0)
            return self._readout

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

    def encode(self, prompt: str, new_tokens: int = 1, start_token: bool = False) -> list[int]:
        """Ids of `prompt`; an empty one starts from `<|endoftext|>`, as GPT-2's own samples do, and
        any does with `start_token`.

        Raises ValueError when it leaves no room for `new_tokens`.
        """
        ids = self.tokenizer.encode(prompt)
        if start_token or not ids:
            ids = [self.tokenizer.end_of_text, *ids]
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
        numbers: int = 0,
        residual: bool | Callable[[], bool] = False,
        off: Off = (),
        swapped: tuple[int, int] | None = None,
    ) -> Iterator[Event]:
        """`complete`, token by token. `prompt` is text, or the ids of an earlier run to go on with.

        `attention` names the layers to watch, or is a function that names them anew for every
        token; watching none costs nothing. A true `stopped()` ends the run within one token.
        `draft`, a smaller model of the same vocabulary, guesses ahead (`gpt2.inference`): the same
        text, sooner or later. Passes are made ahead of whoever reads the events, unless `paced`.

        `numbers` asks for `Event.choice` with so many likeliest tokens, `residual`, which may be a
        function that is asked before every pass, for `Event.residual`. Heads in `off`, as (layer,
        head), are switched off for prompt and text: they find nothing, or what a mapping gives
        them, (D,) as from `head_means`. `swapped` are two positions that trade their position
        embeddings: with (0, 4) the first token stands fifth, and the attention sink moves. All of
        these count from 0 and leave the draws as they are, so what differs comes from the model.

        Raises ValueError for a prompt that is too long, another vocabulary, or a head or position
        that is not there, before the first event.
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
            residual=residual,
            heads_off=_heads_off(off),
            positions=_positions(swapped),
            numbers=numbers,
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
                    step.choice,
                    step.residual,
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
        off: Off = (),
        swapped: tuple[int, int] | None = None,
    ) -> list[int]:
        """Exactly `new_tokens` new ids after `ids`, whatever they are, `<|endoftext|>` included.

        `off` and `swapped` are as in `stream`. Raises ValueError when they do not fit the context.
        """
        request = Request(
            ids,
            new_tokens,
            options,
            draft=draft.source if draft else None,
            heads_off=_heads_off(off),
            positions=_positions(swapped),
        )
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

    def read(
        self,
        ids: Sequence[int],
        see: Callable[[int, int, Weights, Weights], None],
        off: Off = (),
        swapped: tuple[int, int] | None = None,
    ) -> None:
        """`ids` piece by piece, as a run reads its prompt; `off`, `swapped` are as in `stream`.

        `see(layer, first, rows, norms)` gets of each piece, layer after layer, the rows (H, fed, S)
        of the tokens from `first` on and, as in `Event`, (H, fed). Raises ValueError when the text
        is empty or too long.
        """
        layers = range(self.config.num_blocks)
        norms_of = self._norms_of()
        first = 0
        request = Request(
            ids,
            watched=lambda: layers,
            heads_off=_heads_off(off),
            positions=_positions(swapped),
        )
        for step in self.source.steps(request):
            norms = norms_of(layers, stacked(step.values))
            for layer, rows in step.attention.items():
                see(layer, first, rows, norms[layer])
            first += step.fed

    def attention_rows(self, ids: Sequence[int], layer: int, off: Off = ()) -> Weights:
        """All heads of one layer over `ids`: (H, T, T); `off` is as in `stream`.

        Raises ValueError when there is no such layer, or the text is empty or too long.
        """
        if not 0 <= layer < self.config.num_blocks:
            raise ValueError(f"Layer must be from 0 to {self.config.num_blocks - 1}, not {layer}.")
        rows = np.zeros((self.config.num_heads, len(ids), len(ids)), np.float32)
        first = 0
        request = Request(ids, watched=lambda: (layer,), heads_off=_heads_off(off))
        for step in self.source.steps(request):
            end = first + step.fed
            rows[:, first:end, :end] = step.attention[layer]
            first = end
        return rows

    def logits(self, ids: Sequence[int]) -> Weights:
        """What this engine, in its precision, expects after each of `ids`: (T, V).

        Raises ValueError when the text is empty or too long.
        """
        return np.concatenate(list(self.logits_by_piece(ids)))

    def logits_by_piece(
        self, ids: Sequence[int], start: int = 0, off: Off = ()
    ) -> Iterator[Weights]:
        """`logits` of the tokens from `start` on, some megabytes at a time; `off`: see `stream`."""
        for step in self.source.steps(Request(ids, logits_from=start, heads_off=_heads_off(off))):
            assert step.logits is not None
            yield step.logits

    def fork(
        self,
        ids: Sequence[int],
        at: int,
        token: int,
        options: SamplingOptions | None = None,
        new_tokens: int = 100,
        prompt_length: int | None = None,
        attention: Collection[int] | Callable[[], Collection[int]] = (),
        stopped: Callable[[], bool] = lambda: False,
        draft: Engine | None = None,
        numbers: int = 0,
        off: Off = (),
        swapped: tuple[int, int] | None = None,
    ) -> Iterator[Event]:
        """Write `ids` anew from place `at` on, where `token` now stands, and `new_tokens` after it.

        Ids before `at` are kept as they are, never encoded again. With the settings and the seed
        that `ids` were written with, the same noise meets the new text, so what differs comes from
        the forced token alone; and with the token that stood there, the original comes back to the
        bit. `prompt_length` says how many of `ids` were the prompt then: the tokens between are
        read the way they were written, and their events come first. Without it they are read as a
        prompt, which is faster; the compiled pass gives them the same bits either way.

        The other arguments are as in `stream`. Raises ValueError, before the first event, for a
        place outside the text or a token outside the vocabulary.
        """
        if not 1 <= at <= len(ids):
            raise ValueError(f"A text can be forked at places 1 to {len(ids)}, not {at}.")
        prompt_length = at if prompt_length is None else prompt_length
        if not 1 <= prompt_length <= at:
            raise ValueError(f"The prompt has from 1 to {at} tokens, not {prompt_length}.")
        forced = [*ids[prompt_length:at], token]
        room = self.config.max_seq_len - at - 1
        request = Request(
            list(ids[:prompt_length]),
            len(forced) + min(new_tokens, max(room, 0)),
            options or SamplingOptions(),
            attention if callable(attention) else lambda: attention,
            stopped,
            draft=draft.source if draft else None,
            heads_off=_heads_off(off),
            positions=_positions(swapped),
            numbers=numbers,
            forced=forced,
        )
        limit: Finish = "context" if room < new_tokens else "tokens"
        return self._events(self.source.steps(request), limit, stopped)

    def probabilities(
        self,
        text: str | Sequence[int],
        options: SamplingOptions | None = None,
        count: int = COUNT,
        start_token: bool = True,
        off: Off = (),
    ) -> TextChoices:
        """How likely every token of `text` was, and the `count` likeliest beside it.

        Before and after what `options` make of the probabilities (nothing, by default). With
        `start_token`, `<|endoftext|>` stands before the text, as before every text GPT-2 learned
        from: it gives the first token a probability, and changes all others. An empty text tells
        what may begin one. `off` is as in `stream`. Raises ValueError for a text that is too long.
        """
        ids = self.tokenizer.encode(text) if isinstance(text, str) else text
        end_of_text, options = self.tokenizer.end_of_text, options or SamplingOptions()
        return probabilities(
            self.source, ids, end_of_text, options, count, start_token, _heads_off(off)
        )

    def tokens(self, text: str, other_size: int | None = None) -> TokenView:
        """Id, bytes and merges of each token of `text`, and the same text in another vocabulary.

        `other_size` is that of the built-in sizes by default, or GPT-2's where that is this one's.
        Raises ValueError for a vocabulary that cannot be had.
        """
        if other_size is None:
            own, built_in = self.config.vocab_size, SIZES["tiny"].config.vocab_size
            other_size = GPT2_VOCAB_SIZE if own == built_in else built_in
        return view(self.tokenizer, text, other_size)

    def lens(
        self,
        text: str | Sequence[int],
        positions: Sequence[int] | None = None,
        halves: bool = True,
        stopped: Callable[[], bool] = lambda: False,
        progress: Callable[[int, int], None] = lambda done, of: None,
        off: Off = (),
    ) -> Lens:
        """What the model would say after each token if it ended at each layer: the logit lens.

        `positions` are the tokens to look at, all by default; `halves` looks after each attention
        too, not after whole layers alone. `progress(done, all)` counts positions; `off` is as in
        `stream`. Raises ValueError
        for a text that is too long or a position outside it, `interpret.reading.Stopped` once
        `stopped()` is true.
        """
        ids = self._ids(text)
        heads_off = _heads_off(off)
        return lens(self.source, self.readout, ids, positions, halves, stopped, progress, heads_off)

    def attribution(
        self,
        text: str | Sequence[int],
        position: int = -1,
        token: int | None = None,
        against: int | None = None,
        off: Off = (),
        swapped: tuple[int, int] | None = None,
        stopped: Callable[[], bool] = lambda: False,
    ) -> Attribution:
        """What each part of the model adds to `token`'s lead over `against` after `position`.

        In logits, with the last layer norm frozen: heads (L, H), MLPs (L,), embeddings and biases,
        which sum to the true difference. By default the likeliest token against the next
        likeliest, after the last token. `off` and `swapped` are as in `stream`. Raises ValueError
        for a position or token that is not there, `interpret.reading.Stopped` once `stopped()` is
        true.
        """
        changes = Changes(_heads_off(off), positions=_positions(swapped))
        ids = self._ids(text)
        return attribution(
            self.source, self.readout, ids, position, token, against, changes, stopped
        )

    def effects(
        self,
        text: str | Sequence[int],
        token: int | None = None,
        against: int | None = None,
        instead: Instead = "zero",
        heads: Sequence[Head] | None = None,
        position: int = -1,
        everywhere: bool = True,
        stopped: Callable[[], bool] = lambda: False,
        progress: Callable[[int, int], None] = lambda done, of: None,
    ) -> Effects:
        """What each head does for `token` after `position`, measured by switching it off.

        By default all heads, for the likeliest token after the last. `instead` says what stands in
        for a head: "zero", its "mean" output over this text, or the constant share of its value
        "bias". `everywhere` switches it off at all tokens, otherwise at `position` alone. One pass
        over the text a head, several at once; `progress(done, all)` counts them, a true `stopped()`
        ends it, and what was not measured by then is NaN. Raises ValueError for what is not there.
        """
        return effects(
            self.source,
            self.readout,
            self._ids(text),
            token,
            against,
            instead,
            heads,
            position,
            everywhere,
            stopped,
            progress,
        )

    def head_means(self, text: str | Sequence[int], heads: Collection[Head]) -> dict[Head, Weights]:
        """The mean output (D,) of each of `heads` over `text`: `off` in `stream` may be this.

        Raises ValueError for a text that is too long, IndexError for a head that is not there.
        """
        found = known(read(self.source, Request(self._ids(text), heads=True)).heads, "heads")
        return {(layer, head): found[:, layer, head].mean(axis=0) for layer, head in heads}

    def patching(
        self,
        clean: str | Sequence[int],
        corrupted: str | Sequence[int],
        answer: int | None = None,
        against: int | None = None,
        stopped: Callable[[], bool] = lambda: False,
        progress: Callable[[int, int], None] = lambda done, of: None,
    ) -> Patching:
        """How much of `answer` comes back when `clean`'s residual stream is put into `corrupted`.

        One cell for each layer and token (L, T), from 0 as corrupted to 1 as clean. By default the
        answer is what `clean` is answered with, held against what `corrupted` is. One pass a cell;
        `progress` and `stopped` are as in `effects`. Raises ValueError unless both have as many
        tokens, differ, and are answered differently.
        """
        ids, others = self._ids(clean), self._ids(corrupted)
        return patching(self.source, ids, others, answer, against, stopped, progress)

    def flips(
        self, ids: Sequence[int], start: int, options: SamplingOptions, off: Off = ()
    ) -> list[Flip]:
        """Which tokens of `ids`, written from place `start` on, other `options` would have changed.

        With the seed they were written with, the draw is known, so this is what would have been
        drawn, not a guess: the first flip is certain, later ones hold if all before had stayed.
        Under the original options there is none. `off` are the heads that were off, as in `stream`.
        Raises ValueError for a start outside the text.
        """
        return flips(self.source, self._ids(ids), start, options, _heads_off(off))

    def drawn_from(
        self, ids: Sequence[int], start: int, off: Off = ()
    ) -> Iterator[tuple[int, Weights]]:
        """Each place of `ids` from `start` on, and the logits (V,) its token was drawn from.

        With `interpret.flips.flips_among` they answer for many options after one reading. `off` is
        as in `stream`. Raises ValueError for a start outside the text.
        """
        return drawn_from(self.source, self._ids(ids), start, _heads_off(off))

    def flip_ranges(
        self, ids: Sequence[int], start: int, options: SamplingOptions, off: Off = ()
    ) -> list[FlipRange]:
        """Between which temperatures, exactly, each token written from `start` on stays the winner.

        `options` are those it was written with, and `off` the heads that were off, as in `stream`.
        Raises ValueError for a start outside the text, or options that are not those.
        """
        return flip_ranges(self.source, self._ids(ids), start, options, _heads_off(off))

    def _ids(self, text: str | Sequence[int]) -> list[int]:
        if isinstance(text, str):
            return self.encode(text, new_tokens=0)
        return list(text)


def _heads_off(off: Off) -> dict[Head, Weights | None]:
    return dict(off) if isinstance(off, Mapping) else dict.fromkeys(map(_head, off))


def _head(head: Head) -> Head:
    layer, number = head
    return int(layer), int(number)


def _positions(swapped: tuple[int, int] | None) -> dict[int, int]:
    return {} if swapped is None else {swapped[0]: swapped[1], swapped[1]: swapped[0]}
