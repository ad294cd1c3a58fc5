"""Generate and Continue: from a request to the log that the page reads."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

from gpt2.checkpoint import Cancelled, Progress, is_cached
from gpt2.engine import Engine
from gpt2.inference.executor import Head
from gpt2.precision import described
from gpt2.ui.session.admission_queue import in_words, pages_at
from gpt2.ui.session.frames import Value, complaint, loading_sentence, note
from gpt2.ui.session.requests import Request
from gpt2.ui.session.run_log import Branch, Instead, RunLog, RunLogs
from gpt2.ui.session.runner import News, Runner, Start, Started, Waiting, to_user_message
from gpt2.ui.session.sizes import precision_of, problem_of, source_of

Frame = tuple[Value | None, str]  # Output, status line
_LOOK = 0.25  # seconds between two looks at a log that does not grow


@dataclass(slots=True)
class Visitor:
    """One open page: its newest text, and the signal that ends it, which is also its writer."""

    log: RunLog | None = None
    stop: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def begin(self) -> threading.Event:
        """End what still runs and return the signal of what begins now."""
        with self.lock:
            self.stop.set()
            self.stop = threading.Event()
            return self.stop

    def leave(self) -> None:
        """The page is closed, or loaded again."""
        with self.lock:
            if self.log is not None and self.log.writes(self.stop):
                self.log.leave()
            else:
                self.stop.set()

    def adopt(self, log: RunLog) -> bool:
        """Make it this page's own, also to be stopped, unless there is one already."""
        with self.lock:
            if self.log is not None:
                return False
            self.log = log
            if isinstance(writer := log.writer, threading.Event):
                self.stop = writer
            return True


class Playground:
    """Texts for visitors, over the models and the line that all of them share."""

    def __init__(self, runner: Runner) -> None:
        self.runner = runner
        self.logs = RunLogs()

    def generate(self, request: Request, visitor: Visitor, address: str = "") -> Iterator[Frame]:
        """A new text from the prompt; `address` is where the page is open."""

        def start(engine: Engine) -> RunLog:
            log = new_log(engine, request)
            self.logs.add(log)
            return log

        return self._frames(request, visitor, start, address)

    def go_on(
        self, request: Request, visitor: Visitor, log: RunLog, address: str = ""
    ) -> Iterator[Frame]:
        """More of the same text, by the same model."""

        def start(engine: Engine) -> RunLog:
            config = engine.config
            same = (config.num_blocks, config.num_heads) == (log.layers, log.heads)
            if not same or max(log.ids, default=0) >= config.vocab_size:
                raise ValueError("The model's files have changed since. Generate a new text.")
            self.logs.add(log)
            return log

        return self._frames(request, visitor, start, address)

    def rewrite(
        self,
        visitor: Visitor,
        log: RunLog,
        at: int,
        token: int | None,
        off: tuple[Head, ...],
        address: str = "",
        instead: Instead = "zero",
    ) -> Iterator[Frame]:
        """`log` from place `at` on once more, `token` put there if it is one, without `off`.

        Settings and seed stay, and noise belongs to its place: what differs comes from the change.
        The ids before are kept as they are. Raises ValueError for what cannot be put there.
        """
        if not 1 <= at <= len(log.ids):
            raise ValueError("Nothing stands before that token, so it cannot be chosen anew.")
        ids = log.ids[:at] + ([] if token is None else [token])
        left = max(1, max(log.most, len(log.ids)) - len(ids))

        def start(engine: Engine) -> RunLog:
            tokenizer = engine.tokenizer
            if token is not None and not 0 <= token < tokenizer.vocab_size:
                raise ValueError("The page names a token that this model does not have. Reload it.")
            if token in tokenizer.ends:
                raise ValueError("That token ends the text: nothing follows it.")
            if len(ids) >= engine.config.max_seq_len:
                raise ValueError("The context is full: nothing fits after that token.")
            made = RunLog(
                log.size,
                log.options,
                ids,
                min(log.prompt, at),
                log.layers,
                log.heads,
                off=off,
                instead=instead,
                branch=Branch(log.id, at, token),
                tokenizer=tokenizer,
                context=engine.config.max_seq_len,
            )
            self.logs.add(made)
            return made

        return self._frames(Request("", log.size, left, log.options), visitor, start, address)

    def show(self, visitor: Visitor, log: RunLog) -> Frame:
        """A text that was left behind; it is the visitor's again, to be continued."""
        visitor.begin()
        with visitor.lock:
            visitor.log = log
        return log.pointer, self.status(log.size)

    def status(self, size: str) -> str:
        """The words at the top right of the page while nothing runs."""
        source = source_of(size)
        if (problem := problem_of(size)) is not None:
            return f"{source.title} · cannot be used: {problem}"
        engine = self.runner.in_memory(size)
        if engine is not None:  # which knows better what it computes in
            note = f". {engine.note}" if engine.note else ""
            return f"{source.title} · {described(engine.precision)} · ready{note}"
        if is_cached(source):
            state = "built in · ready" if source.folder else "downloaded"
        else:
            state = "downloaded on first use"
        return f"{source.title} · {described(precision_of(size))} · {state}"

    def texts(
        self, request: Request, visitor: str = "", off: tuple[Head, ...] = ()
    ) -> Iterator[str]:
        """The text so far, again and again, for a script. Raises what `USER_ERRORS` lists.

        The same text comes again while there is no news: that is how a script that has left is
        noticed. `visitor` tells callers apart, each of whom may have so many runs at a time. The
        heads in `off` are switched off.
        """
        stop = threading.Event()

        def start(engine: Engine) -> RunLog:
            log = new_log(engine, request)
            log.watched, log.off = False, off
            return log

        try:
            log: RunLog | None = None
            for batch in self.runner.begin(request, start, stop, visitor):
                log = next((item.log for item in batch if isinstance(item, Started)), None)
                yield ""
            if log is not None:
                yield from _texts_of(log)
        finally:
            stop.set()

    def _frames(
        self, request: Request, visitor: Visitor, start: Start, address: str
    ) -> Iterator[Frame]:
        """Until the text begins, and which log to read from then on."""
        title = source_of(request.size).title
        stop = visitor.begin()
        newest: News | None = None
        last: Frame | None = None
        try:
            for batch in self.runner.begin(request, start, stop, pages_at(address)):
                newest = batch[-1] if batch else newest
                if isinstance(newest, Started):
                    with visitor.lock:
                        if visitor.stop is not stop:
                            return  # something else was asked for since
                        visitor.log = newest.log
                    precision = described(newest.engine.precision)
                    last = newest.log.begun, f"{title} · {precision} · ready"
                else:
                    yield _before_start(title, newest)
        except Cancelled:
            last = note("stopped", "Stopped before the first token."), f"{title} · stopped"
        except Exception as error:
            last = complaint(to_user_message(error)), f"{title} · not running"
        if last and visitor.stop is stop:
            yield last


def _texts_of(log: RunLog) -> Iterator[str]:
    """The text so far, again while there is no news. Raises ValueError where it broke."""
    text, at, version, running = "", 0, -1, True
    with log.reading():
        while running:
            version = log.wait(version, _LOOK)
            running = log.running  # before the entries: none comes after the end
            fresh = log.entries[at:]
            at += len(fresh)
            text += "".join(entry.text for entry in fresh)
            yield text
    if log.state == "error":
        raise ValueError(log.note)


def new_log(engine: Engine, request: Request) -> RunLog:
    """A log over the prompt's ids. Raises ValueError for one that is too long."""
    ids, config = engine.encode(request.prompt), engine.config
    return RunLog(
        request.size,
        request.options,
        ids,
        len(ids),
        config.num_blocks,
        config.num_heads,
        tokenizer=engine.tokenizer,
        context=config.max_seq_len,
    )


def _before_start(title: str, newest: News | None) -> Frame:
    if isinstance(newest, Waiting):
        sentence = waiting_sentence(newest.ahead, newest.seconds)
        return note("waiting", sentence), f"{title} · waiting in line"
    value = note("loading", f"Loading {title}.")
    if isinstance(newest, Progress):
        part = newest.done / newest.total if newest.total else 0
        value = note("loading", loading_sentence(title, newest)) | {"part": part}
    return value, f"{title} · loading"


def waiting_sentence(ahead: int, seconds: float | None) -> str:
    """How many must end first, and about how long that takes where it can be told."""
    runs = "one run is" if ahead == 1 else f"{ahead} runs are"
    when = f" Your turn in {in_words(seconds)}." if seconds else ""
    return f"Waiting in line: {runs} ahead of yours.{when}"
