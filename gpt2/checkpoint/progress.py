"""How far a download is, and the bar through which the hub's client reports it."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

ATTEMPTS = 5  # tries of one download
_WINDOW = 30.0  # seconds: a line is not even, so a short one would flicker
_FEWEST = 3  # samples kept even when older, so that a slow line still has a speed


@dataclass(frozen=True, slots=True)
class Progress:
    """Bytes on disk of bytes in all; `seconds_left` is None until there is a speed.

    `attempt` is 1 at first, and one more after every try that failed; `note` says why, or what is
    waited for.
    """

    done: int
    total: int
    bytes_per_second: float
    seconds_left: float | None
    attempt: int = 1
    note: str = ""

    @property
    def fraction(self) -> float:
        """How much of it is there, from 0 to 1."""
        return self.done / max(1, self.total)

    @property
    def words(self) -> str:
        """Megabytes, speed and time left, or what is waited for, and how often it was begun."""
        if self.note:
            return self.note
        again = f" (attempt {self.attempt} of {ATTEMPTS})" if self.attempt > 1 else ""
        if self.done == 0:
            return f"contacting Hugging Face{again}"
        left = "" if self.seconds_left is None else f", {_duration(self.seconds_left)} left"
        speed = f"{self.bytes_per_second / 1e6:.1f} MB/s"
        return f"{self.done / 1e6:,.0f} of {self.total / 1e6:,.0f} MB, {speed}{left}{again}"


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"


class Meter:
    """Counts bytes in one thread and is read in others. `total` may be an estimate at first.

    `base` is what the files before this one had.
    """

    def __init__(self, total: int) -> None:
        self.total = total
        self.attempt = 1
        self.base = 0
        self.note = ""
        self._lock = threading.Lock()
        self._samples = deque([(time.monotonic(), 0)])

    def restart(self, done: int) -> None:
        """A new try begins with `done` bytes; the client starts over, and so does the speed."""
        with self._lock:
            self._samples = deque([(time.monotonic(), self.base + done)])

    def add(self, count: int) -> None:
        """`count` more bytes; fewer than 0 when the client has to send back for them."""
        with self._lock:
            self._samples.append((time.monotonic(), self._samples[-1][1] + count))
            if count > 0:
                self.note = ""

    def read(self) -> Progress:
        """Where the download is now; a stalled one shows a falling speed."""
        now = time.monotonic()
        with self._lock:
            while len(self._samples) > _FEWEST and self._samples[1][0] < now - _WINDOW:
                self._samples.popleft()
            since, before = self._samples[0]
            done = self._samples[-1][1]
            total = max(self.total, done)
        speed = max(0.0, (done - before) / max(now - since, 1e-3))
        left = (total - done) / speed if speed else None
        return Progress(done, total, speed, left, self.attempt, self.note)


def bar_class(
    meter: Meter, check: Callable[[], None], begin: Callable[[], None] = lambda: None
) -> type:
    """A class to pass as `tqdm_class`: feeds `meter` and calls `check`, which may raise.

    `begin` is called when the client turns to the file's bytes.

    Raising stops the plain transport at once. hf_xet swallows it and has no public way to stop one
    download (huggingface_hub issue 4632): there a download nobody wants ends whole, in the cache.
    """

    class Bar:
        """As much of tqdm as the client uses: file_download.py and _xet_progress_reporting.py."""

        def __init__(self, *_: Any, initial: int = 0, **__: Any) -> None:
            begin()
            meter.restart(initial)

        def __enter__(self) -> Bar:
            return self

        def __exit__(self, *_: object) -> None: ...

        def update(self, n: float | None = 1) -> None:
            meter.add(int(n or 0))
            check()

        # hf_xet makes a second bar for raw traffic unless the first one takes these two.
        def update_transfer(self, n: float) -> None: ...

        def set_transfer_postfix_str(self, *_: Any, **__: Any) -> None: ...

        def set_postfix_str(self, *_: Any, **__: Any) -> None: ...

        def refresh(self) -> None: ...

        def close(self) -> None: ...

    return Bar
