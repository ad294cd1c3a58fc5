"""Several texts written side by side: one forward pass of each in turn, and each its own clock."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Generic, TypeVar

from gpt2.engine import Event

Name = TypeVar("Name")


class _Turns:
    """One text's events, with seconds and speed of its own turns alone."""

    def __init__(self, events: Iterator[Event]) -> None:
        self.events = events
        self._seconds = 0.0
        self._first: float | None = None
        self._tokens = 0

    def take(self) -> Event:
        began = time.perf_counter()
        event = next(self.events)
        self._seconds += time.perf_counter() - began
        if event.token is not None:
            self._tokens += 1
            if self._first is None:
                self._first = self._seconds
        return replace(event, seconds=self._seconds, tokens_per_second=self._speed())

    def _speed(self) -> float | None:
        if self._first is None or self._tokens < 2:
            return None
        return (self._tokens - 1) / (self._seconds - self._first)


class RoundRobin(Generic[Name]):
    """Streams of `Engine.stream` that advance together. More may join while others run."""

    def __init__(self) -> None:
        self._running: dict[Name, _Turns] = {}

    def join(self, name: Name, events: Iterator[Event]) -> None:
        """Take a turn in every round from now on."""
        self._running[name] = _Turns(events)

    @property
    def running(self) -> bool:
        """Whether any text still goes on."""
        return bool(self._running)

    def round(self) -> Iterator[tuple[Name, Event | Exception]]:
        """One event of each text that goes on; an error ends the text it is in, and no other."""
        for name, turns in list(self._running.items()):
            try:
                event: Event | Exception = turns.take()
            except Exception as error:
                event = error
            if isinstance(event, Exception) or event.finish:
                del self._running[name]
            yield name, event
