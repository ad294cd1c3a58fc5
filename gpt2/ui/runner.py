"""Runs a request in a thread of its own: download, load, wait in line, write."""

from __future__ import annotations

import atexit
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass

from gpt2.checkpoint import Cancelled, Progress, fetch
from gpt2.engine import Engine, Event
from gpt2.residency import Residency
from gpt2.ui.background import Background
from gpt2.ui.requests import Request
from gpt2.ui.runs import Run
from gpt2.ui.sizes import offered, source_of, weights_bytes
from gpt2.ui.turns import Turns

_PATIENCE = 0.25  # seconds without news before the page is told so
_GRACE = 5.0  # seconds for a run to notice that the program ends
_PAUSE = 0.02  # seconds between two frames: nobody sees more than 50 a second


@dataclass(frozen=True, slots=True)
class Waiting:
    """So many runs must end first."""

    ahead: int


@dataclass(frozen=True, slots=True)
class Started:
    """The model is loaded, and it is this run's turn."""

    engine: Engine
    run: Run


News = Progress | Waiting | Started | Event


class Runner:
    """The models, and the line of those who want to use them: at most `most_running` at once."""

    def __init__(self, residency: Residency, most_running: int) -> None:
        self._residency = residency
        self._turns = Turns(most_running)
        self._running: dict[threading.Event, Background[News]] = {}
        atexit.register(self.close)

    def close(self) -> None:
        """Stop every run: a thread that is inside PyTorch when Python ends aborts the process."""
        running = dict(self._running)
        for stop in running:
            stop.set()
        for work in running.values():
            work.join(_GRACE)

    def engine(
        self, size: str, cancelled: Callable[[], bool] = lambda: False
    ) -> AbstractContextManager[Engine]:
        """The engine of an offered size, for as long as the `with` block lasts."""
        return self._residency.engine(offered()[size], weights_bytes(size), cancelled)

    def is_loaded(self, size: str) -> bool:
        """Whether a run of this size could start at once."""
        return self._residency.is_loaded(offered()[size])

    def news(
        self, request: Request, start: Callable[[Engine], Run], stop: threading.Event
    ) -> Iterator[list[News]]:
        """What happened since last asked; nothing at all is news too, four times a second.

        `start` makes the run when its turn has come. Closing this early, as Gradio does for a
        closed tab, stops the run.
        """
        work: Background[News] = Background(
            lambda emit: self._work(request, start, stop, emit), _PATIENCE, _PAUSE
        )
        self._running[stop] = work
        try:
            yield from work.batches()
        finally:
            stop.set()
            del self._running[stop]

    def _work(
        self,
        request: Request,
        start: Callable[[Engine], Run],
        stop: threading.Event,
        emit: Callable[[News], None],
    ) -> None:
        # Before the line, so that a download keeps nobody waiting; and apart from loading, so that
        # everybody who wants this size sees how far it is.
        if not self.is_loaded(request.size):
            fetch(source_of(request.size), emit, stop.is_set)
        with self.engine(request.size, stop.is_set) as engine:
            place = self._turns.join()
            try:
                self._wait(place, stop, emit)
                self._write(engine, request, start(engine), stop, emit)
            finally:
                self._turns.leave(place)

    def _wait(self, place: object, stop: threading.Event, emit: Callable[[News], None]) -> None:
        while ahead := self._turns.ahead(place):
            emit(Waiting(ahead))
            if stop.wait(_PATIENCE):
                raise Cancelled

    def _write(
        self,
        engine: Engine,
        request: Request,
        run: Run,
        stop: threading.Event,
        emit: Callable[[News], None],
    ) -> None:
        emit(Started(engine, run))
        for event in engine.stream(
            list(run.ids),
            request.options,
            request.new_tokens,
            attention=lambda: (run.layer,),
            stopped=stop.is_set,
        ):
            emit(event)
