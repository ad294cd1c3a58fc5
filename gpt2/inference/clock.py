"""How long a run has taken, and how fast it writes."""

from __future__ import annotations

import time


class Clock:
    """Seconds of a run, and its speed after the first token: reading a prompt is not decoding."""

    def __init__(self) -> None:
        self._began = time.perf_counter()
        self._first: float | None = None
        self._tokens = 0
        self.seconds = 0.0

    def count(self, token: int | None) -> None:
        """Note that a step has just been done, and whether it brought a token."""
        self.seconds = time.perf_counter() - self._began
        if token is not None:
            self._tokens += 1
            if self._first is None:
                self._first = self.seconds

    @property
    def tokens_per_second(self) -> float | None:
        """None until there are two tokens."""
        if self._first is None or self._tokens < 2:
            return None
        return (self._tokens - 1) / (self.seconds - self._first)
