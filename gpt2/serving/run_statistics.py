"""What runs did: counters for whoever keeps the server, and a log line each. Never a text."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

_log = logging.getLogger(__name__)

Phase = Literal["preparing", "downloading", "waiting", "running"]
PHASES: tuple[Phase, ...] = ("preparing", "downloading", "waiting", "running")


@dataclass(slots=True)
class Entry:
    """One request. `ended` says why it ended: a finish, the name of an error, or "left"."""

    size: str
    began: float = field(default_factory=time.monotonic)
    phase: Phase = "preparing"
    started: float | None = None
    first: float | None = None
    tokens: int = 0
    ended: str = "left"

    def start(self) -> None:
        """Its turn has come."""
        self.phase, self.started = "running", time.monotonic()

    def count(self) -> None:
        """A token was written."""
        self.first = self.first or time.monotonic()
        self.tokens += 1


class RunStatistics:
    """Counts all requests; `entries` are those going on."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.entries: list[Entry] = []
        self.runs: Counter[tuple[str, str]] = Counter()  # (size, ended)
        self.tokens: Counter[str] = Counter()
        self.seconds: defaultdict[str, float] = defaultdict(float)  # spent writing
        self.downloads: Counter[str] = Counter()

    @contextmanager
    def entry(self, size: str) -> Iterator[Entry]:
        """Keep account of a request until the block ends, however it ends."""
        entry = Entry(size)
        with self._lock:
            self.entries.append(entry)
        try:
            yield entry
        except Exception as error:
            entry.ended = type(error).__name__
            raise
        finally:
            self._close(entry)

    def downloading(self, entry: Entry) -> None:
        """This request has begun, or joined, a download."""
        if entry.phase != "downloading":
            entry.phase = "downloading"
            with self._lock:
                self.downloads[entry.size] += 1

    def phases(self) -> dict[Phase, int]:
        """How many requests are where."""
        with self._lock:
            now = Counter(entry.phase for entry in self.entries)
        return {phase: now[phase] for phase in PHASES}

    def _close(self, entry: Entry) -> None:
        ended = time.monotonic()
        started = entry.started or ended
        with self._lock:
            self.entries.remove(entry)
            self.runs[entry.size, entry.ended] += 1
            self.tokens[entry.size] += entry.tokens
            self.seconds[entry.size] += ended - started
        fields = {
            "size": entry.size,
            "ended": entry.ended,
            "tokens": entry.tokens,
            "waited_s": round(started - entry.began, 3),
            "first_token_s": round(entry.first - started, 3) if entry.first else None,
            "writing_s": round(ended - started, 3),
        }
        _log.info("run", extra={"fields": fields})
