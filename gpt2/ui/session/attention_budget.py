"""How much memory all texts' attention together may take; the least recently used goes first."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Protocol

# Room for one XL text of 1,024 tokens (630 MB), or 160 Small texts of 256.
SERVER_BYTES = 768_000_000


class Sized(Protocol):
    """Something that takes room and can give it back."""

    @property
    def size_bytes(self) -> int: ...

    def clear(self) -> None: ...


class CaptureBudget:
    """Keeps the sum of sizes within `limit` bytes. What was used last is dropped last."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._lock = threading.Lock()
        self._used: OrderedDict[int, tuple[Sized, int]] = OrderedDict()
        self._total = 0

    def use(self, capture: Sized) -> None:
        """It has grown, or is looked at. Alone it may be larger than the limit."""
        size = capture.size_bytes
        dropped: list[Sized] = []
        with self._lock:
            self._total += size - self._used.pop(id(capture), (capture, 0))[1]
            self._used[id(capture)] = capture, size
            while self._total > self.limit and len(self._used) > 1:
                _, (oldest, taken) = self._used.popitem(last=False)
                self._total -= taken
                dropped.append(oldest)
        for oldest in dropped:
            oldest.clear()

    def forget(self, capture: Sized) -> None:
        """Nobody can ask for it any more."""
        with self._lock:
            self._total -= self._used.pop(id(capture), (capture, 0))[1]
        capture.clear()

    @property
    def total(self) -> int:
        """Bytes in use."""
        return self._total


SERVER_BUDGET = CaptureBudget(SERVER_BYTES)
