"""Generate and Continue: from a request to the frames that the page shows."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from gpt2.checkpoint import Cancelled, CheckpointError, Progress, is_cached
from gpt2.engine import Engine, Event
from gpt2.inference.executor import Head
from gpt2.inference.steps import NotFinite
from gpt2.residency import OutOfMemory
from gpt2.serving.remote import Lost
from gpt2.ui.frames import (
    Frames,
    Value,
    attention_value,
    complaint,
    loading_sentence,
    note,
    whole_text,
)
from gpt2.ui.line import FullHouse, in_words, pages_at
from gpt2.ui.requests import Request
from gpt2.ui.runner import News, Runner, Started, Stopping, Waiting
from gpt2.ui.runs import Branch, Run, RunStore
from gpt2.ui.sizes import config_of, precision_of, problem_of, source_of, tokenizer_of

# Errors whose message is a sentence for visitors.
TOLD = (ValueError, CheckpointError, OutOfMemory, FullHouse, NotFinite, Lost, Stopping)
SORRY = "Something went wrong on the server. Nothing is lost; try again."

Frame = tuple[Value | None, Value | None, str]  # Output, Attention, status line

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Visitor:
    """One open page: its newest run, and the signal that ends it.

    Whoever adds to a run holds `lock` and first looks whether `stop` is still his own.
    """

    run: Run | None = None
    stop: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def begin(self) -> threading.Event:
        """End what still runs and return the signal of what begins now."""
        with self.lock:
            self.stop.set()
            self.stop = threading.Event()
            return self.stop


class Playground:
    """Texts for visitors, over the models and the line that all of them share."""

    def __init__(self, runner: Runner) -> None:
        self.runner = runner
        self.runs = RunStore()

    def generate(self, request: Request, visitor: Visitor, address: str = "") -> Iterator[Frame]:
        """A new text from the prompt; `address` is where the page is open."""

        def start(engine: Engine) -> Run:
            run = new_run(engine, request)
            before = visitor.run
            if before and (before.layers, before.heads) == (run.layers, run.heads):
                run.look_as(before)
            self.runs.add(run)
            return run

        return self._frames(request, visitor, start, address)

    def go_on(
        self, request: Request, visitor: Visitor, run: Run, address: str = ""
    ) -> Iterator[Frame]:
        """More of the same text, by the same model."""

        def start(engine: Engine) -> Run:
            config = engine.config
            same = (config.num_blocks, config.num_heads) == (run.layers, run.heads)
            if not same or max(run.ids, default=0) >= config.vocab_size:
                raise ValueError("The model's files have changed since. Generate a new text.")
            run.options, run.speed_up = request.options, None
            run.most = len(run.ids) + request.new_tokens
            run.draft = _title_of(request.draft) or run.draft
            return run

        return self._frames(request, visitor, start, address)

    def rewrite(
        self,
        visitor: Visitor,
        run: Run,
        at: int,
        token: int | None,
        off: tuple[Head, ...],
        address: str = "",
    ) -> Iterator[Frame]:
        """`run` from place `at` on once more, `token` put there if it is one, without `off`.

        Settings and seed stay, and noise belongs to its place: what differs comes from the change.
        The ids before are kept as they are. Raises ValueError for what cannot be put there.
        """
        if not 1 <= at <= len(run.ids):
            raise ValueError("Nothing stands before that token, so it cannot be chosen anew.")
        ids = run.ids[:at] + ([] if token is None else [token])
        left = max(1, max(run.most, len(run.ids)) - len(ids))

        def start(engine: Engine) -> Run:
            tokenizer = engine.tokenizer
            if token is not None and not 0 <= token < tokenizer.vocab_size:
                raise ValueError("The page names a token that this model does not have. Reload it.")
            if token in tokenizer.ends:
                raise ValueError("That token ends the text: nothing follows it.")
            if len(ids) >= engine.config.max_seq_len:
                raise ValueError("The context is full: nothing fits after that token.")
            made = Run(
                run.size, run.options, ids, min(run.prompt, at), run.layers, run.heads, off=off
            )
            made.branch, made.most = Branch(run.id, at, token), len(ids) + left
            made.look_as(run)
            self.runs.add(made)
            return made

        return self._frames(Request("", run.size, left, run.options), visitor, start, address)

    def show(self, visitor: Visitor, run: Run) -> Frame:
        """A text that was left behind; it is the visitor's again, to be continued."""
        visitor.begin()
        with visitor.lock:
            visitor.run = run
        tokenizer, context = tokenizer_of(run.size), config_of(run.size).max_seq_len
        ended = run.ids[-1] in tokenizer.ends or len(run.ids) >= (run.most or context)
        output = whole_text(run, tokenizer, context, ended, "")
        return output, attention_value(run, run.view, 0, b""), self.status(run.size)

    def status(self, size: str) -> str:
        """The words at the top right of the page while nothing runs."""
        source = source_of(size)
        if (problem := problem_of(size)) is not None:
            return f"{source.title} · cannot be used: {problem}"
        engine = self.runner.in_memory(size)
        if engine is not None:  # which knows better what it computes in
            note = f". {engine.note}" if engine.note else ""
            return f"{source.title} · {engine.precision} · ready{note}"
        if is_cached(source):
            state = "built in · ready" if source.folder else "downloaded"
        else:
            state = "downloaded on first use"
        return f"{source.title} · {precision_of(size)} · {state}"

    def texts(
        self, request: Request, visitor: str = "", off: tuple[Head, ...] = ()
    ) -> Iterator[str]:
        """The text so far, again and again, for a script. Raises what `TOLD` lists.

        The same text comes again while there is no news: that is how a script that has left is
        noticed. `visitor` tells callers apart, each of whom may have so many runs at a time. The
        heads in `off` are switched off.
        """
        text = ""
        stop = threading.Event()

        def start(engine: Engine) -> Run:
            run = new_run(engine, request)
            run.off = off
            return run

        news = self.runner.news(request, start, stop, visitor)
        for batch in news:
            text += "".join(item.text for item in batch if isinstance(item, Event))
            yield text

    def _frames(
        self, request: Request, visitor: Visitor, start: Callable[[Engine], Run], address: str
    ) -> Iterator[Frame]:
        title = source_of(request.size).title
        stop = visitor.begin()
        frames: Frames | None = None
        precision = ""
        last: Frame | None = None
        newest: News | None = None
        try:
            for batch in self.runner.news(request, start, stop, pages_at(address)):
                events = [item for item in batch if isinstance(item, Event)]
                frame: Frame | None = None
                with visitor.lock:
                    if visitor.stop is not stop:
                        return  # what began since goes on from what is shown: add no more to it
                    for item in batch:
                        if isinstance(item, Started):
                            visitor.run = item.run
                            frames = _frames_for(item, title, request.new_tokens)
                            precision = item.engine.precision
                    newest = batch[-1] if batch else newest
                    if frames is None:
                        frame = _before_start(title, newest)
                    elif events:
                        badge = f"{title} · {precision} · {_state(events)}"
                        frame = *frames.frame(events), badge
                if frame:
                    yield frame
                    stop.wait(frames.spare if frames else 0)
        except Cancelled:
            last = note("stopped", "Stopped before the first token."), None, f"{title} · stopped"
        except TOLD as error:
            last = _failure(frames, str(error)), None, f"{title} · not running"
        except Exception:
            _log.exception("a run failed")
            last = _failure(frames, SORRY), None, f"{title} · not running"
        if last and visitor.stop is stop:
            yield last


def new_run(engine: Engine, request: Request) -> Run:
    """A run over the prompt's ids, looking at a layer in the middle."""
    ids = engine.encode(request.prompt)
    layers, heads = engine.config.num_blocks, engine.config.num_heads
    run = Run(request.size, request.options, ids, len(ids), layers, heads, layers // 2)
    run.draft = _title_of(request.draft)
    run.most = len(ids) + request.new_tokens
    return run


def _title_of(draft: str | None) -> str:
    return source_of(draft).title if draft else ""


def _frames_for(started: Started, title: str, limit: int) -> Frames:
    engine = started.engine
    return Frames(started.run, engine.tokenizer, title, engine.config.max_seq_len, limit)


def _state(events: list[Event]) -> str:
    return "ready" if events[-1].finish else "writing"


def _before_start(title: str, newest: News | None) -> Frame:
    if isinstance(newest, Waiting):
        sentence = waiting_sentence(newest.ahead, newest.seconds)
        return note("waiting", sentence), None, f"{title} · waiting in line"
    value = note("loading", f"Loading {title}.")
    if isinstance(newest, Progress):
        part = newest.done / newest.total if newest.total else 0
        value = note("loading", loading_sentence(title, newest)) | {"part": part}
    return value, None, f"{title} · loading"


def waiting_sentence(ahead: int, seconds: float | None) -> str:
    """How many must end first, and about how long that takes where it can be told."""
    runs = "one run is" if ahead == 1 else f"{ahead} runs are"
    when = f" Your turn in {in_words(seconds)}." if seconds else ""
    return f"Waiting in line: {runs} ahead of yours.{when}"


def _failure(frames: Frames | None, sentence: str) -> Value:
    if frames:
        return frames.failed(sentence)
    return complaint(sentence)
