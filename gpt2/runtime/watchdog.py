"""Notices a forward pass that does not end: whoever makes passes says when each begins and ends.

Knows nothing of models or threads. One `Watchdog` belongs to one loop, since what a pass usually
takes differs a thousandfold from model to model; `stuck_seconds` looks at all of them.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from weakref import WeakSet

TIMES = 20  # as long as the longest pass so far: then something is wrong
# Nothing is said of a shorter one: a machine that pages memory in may stand still for a while.
LEAST = 30.0  # seconds

_lock = threading.Lock()
_all: WeakSet[Watchdog] = WeakSet()


class Watchdog:
    """`started()` and `finished()` around every pass, from one thread; the rest from any."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._began: float | None = None
        self._longest = 0.0
        with _lock:
            _all.add(self)

    def started(self) -> None:
        """A pass begins."""
        self._began = self._clock()

    def finished(self) -> None:
        """It has ended, well or not."""
        began, self._began = self._began, None
        if began is not None:
            self._longest = max(self._longest, self._clock() - began)

    @contextmanager
    def watching(self) -> Iterator[None]:
        """The block is one pass."""
        self.started()
        try:
            yield
        finally:
            self.finished()

    def stuck(self) -> float | None:
        """For how many seconds a pass has gone on that should be over; None while all is well."""
        began = self._began
        if began is None:
            return None
        seconds = self._clock() - began
        return seconds if seconds > max(LEAST, TIMES * self._longest) else None


def stuck_seconds() -> float | None:
    """The longest of all that are stuck in this process; None while none is."""
    with _lock:
        dogs = list(_all)
    return max((seconds for dog in dogs if (seconds := dog.stuck()) is not None), default=None)
