"""Runs a request in a thread of its own: download, load, wait in the queue, write its log."""

from __future__ import annotations

import atexit
import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from gpt2.checkpoint import Cancelled, CheckpointError, Progress, fetch, is_cached
from gpt2.engine import Engine, Event
from gpt2.inference.steps import NotFinite
from gpt2.residency import OutOfMemory, Residency, cache_bytes
from gpt2.runtime.malloc import trim
from gpt2.serving.remote import Lost
from gpt2.serving.run_statistics import Entry, RunStatistics
from gpt2.ui.session.admission_queue import AdmissionQueue, QueueFull, Ticket
from gpt2.ui.session.background import Background
from gpt2.ui.session.limits import Limits
from gpt2.ui.session.requests import Request
from gpt2.ui.session.run_log import RunLog
from gpt2.ui.session.sizes import config_of, offered, source_of, stamp_of, weights_bytes

_PATIENCE = 0.25  # seconds between two looks at the line, and without news that are said
_GRACE = 5.0  # seconds for all runs to notice that the program ends
_ENDING = (
    "The server is being stopped, so the text ends here. What is written stays; "
    "Continue goes on when it is back."
)


@dataclass(frozen=True, slots=True)
class Waiting:
    """So many runs must end first; `seconds` is about how long that takes, if it can be told."""

    ahead: int
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Started:
    """The model is loaded, and it is this run's turn: from now on its log grows."""

    engine: Engine
    log: RunLog


class Stopping(Exception):
    """The program ends while something runs. The message is for the visitor."""


T = TypeVar("T")
News = Progress | Waiting | Started
Start = Callable[[Engine], RunLog]
# Errors whose message is a sentence for visitors.
USER_ERRORS = (ValueError, CheckpointError, OutOfMemory, QueueFull, NotFinite, Lost, Stopping)
SORRY = "Something went wrong on the server. Nothing is lost; try again."

_log = logging.getLogger(__name__)


def to_user_message(error: BaseException) -> str:
    """The sentence for visitors; what is no sentence for them goes to the log."""
    if isinstance(error, USER_ERRORS):
        return str(error)
    _log.error("a run failed", exc_info=error)
    return SORRY


class Runner:
    """The models, and the line of those who want to use them."""

    def __init__(
        self, residency: Residency, most_running: int, limits: Limits | None = None
    ) -> None:
        self.residency = residency
        self.statistics = RunStatistics()
        self._queue = AdmissionQueue(replace(limits or Limits(), running=most_running))
        self._running: dict[threading.Event, Background[Any]] = {}
        self._stamps: dict[str, object] = {}  # of the files that engines were loaded from
        self.closing = False
        atexit.register(self.close)

    @property
    def limits(self) -> Limits:
        """How many may write, and how long."""
        return self._queue.limits

    def close(self, seconds: float = _GRACE) -> None:
        """Stop every run: a thread that is inside PyTorch when Python ends aborts the process.

        All together get so many seconds. From now on what runs, and what begins, ends in Stopping.
        """
        self.closing = True
        ends = time.monotonic() + seconds
        running = dict(self._running)
        for stop in running:
            stop.set()
        for work in running.values():
            work.join(max(0.0, ends - time.monotonic()))

    def engine(
        self, size: str, cancelled: Callable[[], bool] = lambda: False, run_bytes: int = 0
    ) -> AbstractContextManager[Engine]:
        """The engine of an offered size, for as long as the `with` block lasts."""
        name, weights = offered()[size], weights_bytes(size)
        stamp = stamp_of(size)
        # Of a folder that a training job has written anew, the old weights are no use.
        if self._stamps.get(name, stamp) == stamp or self.residency.drop(name):
            self._stamps[name] = stamp
        return self.residency.engine(name, weights, cancelled, run_bytes)

    def is_loaded(self, size: str) -> bool:
        """Whether a run of this size could start at once."""
        return self.residency.is_loaded(offered()[size])

    def in_memory(self, size: str) -> Engine | None:
        """The engine of this size, if it is loaded."""
        return self.residency.in_memory(offered()[size])

    def is_here(self, size: str) -> bool:
        """Whether it could start without a download."""
        return self.is_loaded(size) or is_cached(source_of(size))

    def download(self, size: str, emit: Callable[[Progress], None], stop: threading.Event) -> None:
        """Fetch a size that is not loaded, apart from loading: everybody sees how far it is."""
        if not self.is_loaded(size):
            fetch(source_of(size), emit, stop.is_set)

    def background(
        self, work: Callable[[Callable[[T], None]], None], stop: threading.Event
    ) -> Iterator[list[T]]:
        """What `work` has emitted since last asked; nothing too is news, four times a second.

        Closing this early, as Gradio does for a closed tab, sets `stop`, which `work` must watch.
        Raises what `work` raised, and Stopping.
        """
        running = self._run(work, stop)
        try:
            yield from running.batches()
            if self.closing:
                raise Stopping(_ENDING)
        except Cancelled:
            raise (Stopping(_ENDING) if self.closing else Cancelled) from None
        finally:
            stop.set()

    def _run(
        self, work: Callable[[Callable[[T], None]], None], stop: threading.Event
    ) -> Background[T]:
        if self.closing:
            raise Stopping(_ENDING)
        running = Background(work, _PATIENCE, lambda: self._running.pop(stop, None))
        self._running[stop] = running
        return running.start()

    @contextmanager
    def turn(
        self,
        emit: Callable[[Waiting], None],
        stop: threading.Event,
        visitor: str = "",
        tokens: int = 1,
    ) -> Iterator[Ticket]:
        """A ticket of the queue; the block begins when it is its turn. Raises Cancelled, QueueFull.

        `tokens` is what the block may write, and `Ticket.written` what it has: for the estimate.
        """
        ticket = self._queue.join(visitor, tokens)
        try:
            while ahead := self._queue.ahead(ticket):
                emit(Waiting(ahead, self._queue.seconds(ticket)))
                if stop.wait(_PATIENCE):
                    raise Cancelled
            ticket.start()
            yield ticket
        finally:
            if not self._queue.leave(ticket):
                trim()  # what a crowd leaves behind is scattered over many pages

    def begin(
        self, request: Request, start: Start, stop: threading.Event, visitor: str = ""
    ) -> Iterator[list[News]]:
        """What happens until the text begins; the last item is Started.

        Then it is written in a thread of its own, into the log that `start` makes when its turn has
        come, until it ends, `stop` is set, or nobody has read it for a while. Closing this before
        Started, as Gradio does for a closed tab, sets `stop`. Raises what `USER_ERRORS` lists,
        Cancelled.
        """

        def work(emit: Callable[[News], None]) -> None:
            self._work(request, start, stop, emit, visitor)

        running = self._run(work, stop)
        begun = False
        try:
            for batch in running.batches():
                begun = any(isinstance(item, Started) for item in batch)
                yield batch
                if begun:
                    return
        except Cancelled:
            raise (Stopping(_ENDING) if self.closing else Cancelled) from None
        finally:
            if not begun:
                stop.set()

    def note(self, entry: Entry, item: News | Event) -> None:
        """Keep account of what happened in a run."""
        if isinstance(item, Progress):
            self.statistics.downloading(entry)
        elif isinstance(item, Waiting):
            entry.phase = "waiting"
        elif isinstance(item, Started):
            entry.start()
        else:
            if item.token is not None:
                entry.count()
            entry.ended = item.finish or entry.ended

    def _work(
        self,
        request: Request,
        start: Start,
        stop: threading.Event,
        emit: Callable[[News], None],
        visitor: str,
    ) -> None:
        sizes = [request.size, *([request.draft] if request.draft else [])]
        with self.statistics.entry(request.size) as entry, ExitStack() as held:

            def say(item: News) -> None:
                self.note(entry, item)
                emit(item)

            # Before the line, so that a download keeps nobody waiting.
            for size in sizes:
                self.download(size, say, stop)
            engines = [held.enter_context(self.engine(size, stop.is_set)) for size in sizes]
            turn = self.turn(say, stop, visitor, request.new_tokens)
            ticket = held.enter_context(turn)
            held.enter_context(self._room(sizes, say, stop))
            log = start(engines[0])
            draft = engines[1] if request.draft else None
            title = source_of(request.draft).title if request.draft else ""
            ids = log.begin(stop, request.options, request.new_tokens, title, engines[0].precision)
            say(Started(engines[0], log))
            try:
                self._write(engines[0], draft, request, log, ids, stop, entry, ticket)
            except Exception as error:  # the page hears of it by way of the log
                entry.ended = type(error).__name__
                log.fail(stop, to_user_message(error))

    @contextmanager
    def _room(
        self, sizes: list[str], emit: Callable[[News], None], stop: threading.Event
    ) -> Iterator[None]:
        """Memory for the caches of one run: waits while others have it. Raises OutOfMemory."""
        with ExitStack() as held:
            while True:
                others = self.residency.running_bytes()
                try:
                    # All or nothing: two who wait for each other's half would wait for ever.
                    with ExitStack() as taken:
                        for size in sizes:
                            taken.enter_context(self._with_cache(size, stop))
                        held.push(taken.pop_all())
                    break
                except OutOfMemory:
                    if not others:
                        raise
                emit(Waiting(1))
                if stop.wait(_PATIENCE):
                    raise Cancelled
            yield

    def _with_cache(self, size: str, stop: threading.Event) -> AbstractContextManager[Engine]:
        config = config_of(size)
        return self.engine(size, stop.is_set, cache_bytes(config, config.max_seq_len))

    def _write(
        self,
        engine: Engine,
        draft: Engine | None,
        request: Request,
        log: RunLog,
        ids: list[int],
        stop: threading.Event,
        entry: Entry,
        ticket: Ticket,
    ) -> None:
        end = time.monotonic() + self.limits.seconds
        fed = 0
        for event in engine.stream(
            ids,
            request.options,
            request.new_tokens,
            attention=log.wanted,
            stopped=lambda: stop.is_set() or log.unread or time.monotonic() > end,
            draft=draft,
            residual=lambda: time.monotonic() < log.live_until,
            off=log.off_in(engine),
        ):
            fed += event.fed
            if event.residual is not None:  # the browser asks for it; it is of no use here
                if event.token is not None:
                    log.stream = fed, event.residual[-1].copy()
                event = replace(event, residual=None)
            ticket.written += event.token is not None
            if event.finish == "stopped" and self.closing:
                raise Stopping(_ENDING)
            left = event.finish == "stopped" and log.unread
            if event.finish == "stopped" and not (left or stop.is_set()):
                event = replace(event, finish="time")
            self.note(entry, event)
            entry.ended = "left" if left else entry.ended
            if not log.put(stop, event):
                return
