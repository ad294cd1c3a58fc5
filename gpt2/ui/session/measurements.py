"""Measurements that take seconds: in the page's queue, told how far they are, ended unheard.

`measured` is one of them as records, for a script that listens; `Measurements` keeps them for a
page, which asks again and again.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Generator, Hashable
from contextlib import closing
from contextvars import copy_context
from typing import Any, TypedDict

from gpt2.engine import Engine
from gpt2.interpret.reading import Stopped
from gpt2.ui.session.runner import Runner

Json = dict[str, Any]
# Of an engine, given when to stop and whom to tell how far it is.
Measure = Callable[[Engine, Callable[[], bool], Callable[[int, int], None]], Json]

_PATIENCE = 4.0  # seconds without a question after which nobody waits for the answer any more
_MOST_AT_ONCE = 4
_MOST_KEPT = 32

_log = logging.getLogger(__name__)


class Measuring(TypedDict):
    """How far a measurement is; `result` is None until its last record."""

    done: int
    of: int
    result: dict[str, Any] | None


def measured(
    runner: Runner, size: str, measure: Measure, visitor: str = ""
) -> Generator[Measuring, None, None]:
    """Records of one measurement by the model `size`; the same again while there is no news.

    Closing it ends the measurement. Raises what `gpt2.ui.session.playground.TOLD` lists.
    """
    stop = threading.Event()

    def work(emit: Callable[[Measuring], None]) -> None:
        def progress(done: int, of: int) -> None:
            emit({"done": done, "of": of, "result": None})

        runner.download(size, lambda _: progress(0, 0), stop)
        with (
            runner.engine(size, stop.is_set) as engine,
            runner.turn(lambda _: progress(0, 0), stop, visitor),
        ):
            end = time.monotonic() + runner.limits.seconds
            try:
                result = measure(engine, lambda: stop.is_set() or time.monotonic() > end, progress)
            except Stopped as error:
                raise ValueError(
                    f"This took longer than the {runner.limits.seconds} seconds a run may take. "
                    "Shorten the text, or look at one position alone."
                ) from error
        emit({"done": 1, "of": 1, "result": result})

    newest: Measuring = {"done": 0, "of": 0, "result": None}
    for batch in runner.background(work, stop):
        newest = batch[-1] if batch else newest
        yield newest


class _Job:
    """One measurement under way: its newest record, or what went wrong."""

    def __init__(self, records: Callable[[], Generator[Measuring, None, None]]) -> None:
        self.newest: Measuring = {"done": 0, "of": 0, "result": None}
        self.error: Exception | None = None
        self.cancelled = self.ended = False
        self.asked = time.monotonic()
        # It only waits; the work has a thread of its own, which the runner ends with the program.
        run = copy_context().run
        threading.Thread(target=run, args=(self._run, records), daemon=True).start()

    def _run(self, records: Callable[[], Generator[Measuring, None, None]]) -> None:
        try:
            with closing(records()) as found:
                for self.newest in found:
                    if time.monotonic() - self.asked > _PATIENCE:
                        self.cancelled = True
                    if self.cancelled:
                        return
        except Exception as error:  # raised where somebody asks
            self.error = error
        finally:
            self.ended = True


class Measurements:
    """Begun by the first question, told of by the next ones, remembered for a while."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self._lock = threading.Lock()
        self._jobs: OrderedDict[Hashable, _Job] = OrderedDict()

    def answer(self, key: Hashable, size: str, measure: Measure, cancel: bool = False) -> Json:
        """{done, of} until it is done, then {result}; `key` tells measurements apart.

        `cancel` ends it instead. Raises what it raised; the next question begins it anew.
        """
        with self._lock:
            job = self._jobs.get(key)
            if cancel or (job and job.cancelled):
                if job:
                    job.cancelled = True
                    del self._jobs[key]
                job = None
            if cancel:
                return {}
            if job is None:
                if sum(not each.ended for each in self._jobs.values()) >= _MOST_AT_ONCE:
                    return {"done": 0, "of": 0}  # it begins when one of the others has ended
                job = _Job(lambda: measured(self._runner, size, measure))
                self._jobs[key] = job
                while len(self._jobs) > _MOST_KEPT:
                    self._jobs.popitem(last=False)[1].cancelled = True
            self._jobs.move_to_end(key)
            job.asked = time.monotonic()
            if job.error is not None:
                del self._jobs[key]
                raise job.error
            newest = job.newest
        if newest["result"] is not None:
            return {"result": newest["result"]}
        return {"done": newest["done"], "of": newest["of"]}
