"""What a comparison does in its thread: load every size, then let them write in turns."""

from __future__ import annotations

import math
import queue
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace

from gpt2.checkpoint import Cancelled
from gpt2.engine import Engine, Event
from gpt2.round_robin import RoundRobin
from gpt2.scoring import Score, score
from gpt2.ui.compare.requested import run_bytes
from gpt2.ui.session.requests import Request
from gpt2.ui.session.run_log import RunLog
from gpt2.ui.session.runner import News, Runner, Started, to_user_message

_POLL = 0.05  # seconds between two looks for a size that is ready


@dataclass(frozen=True, slots=True)
class Failed:
    """This size cannot be had, or broke while it wrote."""

    error: Exception


@dataclass(frozen=True, slots=True)
class ColumnNews:
    """What happened in one column."""

    column: int
    news: News | Score | Failed


@dataclass(frozen=True, slots=True)
class RoundEnd:
    """Every column that writes has had its turn: how many entries their logs then have."""

    entries: dict[int, int]


CompareNews = ColumnNews | RoundEnd
StartColumn = Callable[[Engine, Request], RunLog]
_TOO_LONG = "The time limit for one comparison is reached. The text is kept."


class CompareWorker:
    """Sizes that are here begin together; one to be downloaded joins when it is ready."""

    def __init__(
        self,
        runner: Runner,
        requests: list[Request],
        start: StartColumn,
        stop: threading.Event,
        emit: Callable[[CompareNews], None],
        note: Callable[[int, Event], None],
        visitor: str = "",
    ) -> None:
        self._runner = runner
        self._requests = requests
        self._start = start
        self._stop = stop
        self._emit = emit
        self._note = note
        self._visitor = visitor
        self._end = math.inf  # when the time of those who write is up
        self._ready: queue.SimpleQueue[tuple[int, Engine]] = queue.SimpleQueue()
        self._engines: dict[int, Engine] = {}
        self._logs: dict[int, RunLog] = {}
        self._scored: set[int] = set()
        self._held = ExitStack()
        self._turns: RoundRobin[int] = RoundRobin()

    def run(self) -> None:
        """Until every text has ended, or `stop` is set."""
        columns = range(len(self._requests))
        here = [c for c in columns if self._runner.is_here(self._requests[c].size)]
        away = [c for c in columns if c not in here]
        loader = threading.Thread(target=self._load, args=(away,), daemon=True)
        # Engines stay in memory until the last column has ended, and no size is loaded twice.
        with self._held:
            self._load(here)
            loader.start()
            try:
                while not self._stop.is_set() and (loader.is_alive() or not self._ready.empty()):
                    if self._join(wait=_POLL):
                        self._write()
            finally:
                loader.join()
        if self._stop.is_set() and not self._engines:
            raise Cancelled

    def _load(self, columns: list[int]) -> None:
        for column in columns:
            request = self._requests[column]
            try:
                self._runner.download(request.size, self._reporter(column), self._stop)
                engine = self._held.enter_context(
                    self._runner.engine(request.size, self._stop.is_set, run_bytes(request))
                )
            except Exception as error:
                self._emit(ColumnNews(column, Failed(error)))
            else:
                self._ready.put((column, engine))

    def _write(self) -> None:
        """Rounds until nobody writes. A ticket of the queue is held only meanwhile."""
        most = sum(request.new_tokens for request in self._requests)
        with self._runner.turn(self._report_to_all, self._stop, self._visitor, most) as ticket:
            self._end = time.monotonic() + self._runner.limits.seconds
            while self._turns.running:
                for column, event in self._turns.round():
                    if isinstance(event, Exception):
                        self._scored.add(column)
                        self._logs[column].fail(self._stop, to_user_message(event))
                        self._report(column, Failed(event))
                    else:
                        ticket.written += event.token is not None
                        self._logs[column].put(self._stop, self._why(event))
                        self._note(column, event)
                self._emit(RoundEnd({at: len(log.entries) for at, log in self._logs.items()}))
                self._join()
            self._score()

    def _ended(self) -> bool:
        return self._stop.is_set() or time.monotonic() > self._end

    def _why(self, event: Event) -> Event:
        """Whether it was stopped by hand, or its time was up."""
        if event.finish == "stopped" and not self._stop.is_set():
            return replace(event, finish="time")
        return event

    def _score(self) -> None:
        """The prompt by every size that has written: bits per byte are comparable, speed is not."""
        for column in self._engines.keys() - self._scored:
            self._scored.add(column)
            prompt = self._requests[column].prompt
            if prompt and not self._stop.is_set():
                with suppress(ValueError):  # a model on a cluster cannot be scored from here
                    self._report(column, score(self._engines[column], prompt))

    def _join(self, wait: float = 0) -> bool:
        """Take in the sizes that have become ready; whether anybody writes."""
        while True:
            try:
                column, engine = self._ready.get(timeout=wait) if wait else self._ready.get_nowait()
            except queue.Empty:
                return self._turns.running
            wait = 0
            request = self._requests[column]
            try:
                self._begin(column, engine, request)
            except ValueError as error:  # a prompt that is too long for this size
                self._report(column, Failed(error))

    def _begin(self, column: int, engine: Engine, request: Request) -> None:
        log = self._logs[column] = self._start(engine, request)
        log.too_late = _TOO_LONG
        events = engine.stream(
            log.begin(self._stop, request.options, request.new_tokens, "", engine.precision),
            request.options,
            request.new_tokens,
            attention=log.wanted,
            stopped=self._ended,
            paced=True,
        )
        self._engines[column] = engine
        self._report(column, Started(engine, log))
        self._turns.join(column, events)

    def _report(self, column: int, news: News | Score | Failed) -> None:
        self._emit(ColumnNews(column, news))

    def _reporter(self, column: int) -> Callable[[News], None]:
        return lambda news: self._report(column, news)

    def _report_to_all(self, news: News) -> None:
        for column in self._engines:
            self._report(column, news)
