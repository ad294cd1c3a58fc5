"""One line of a terminal that says how far something is."""

from __future__ import annotations

import sys
from typing import TextIO

from gpt2.runtime.terminal import can_show


class ProgressBar:
    """Rewrites its line in place on a terminal; elsewhere prints a line every tenth of the way."""

    def __init__(self, stream: TextIO = sys.stderr) -> None:
        self._stream = stream
        self._in_place = stream.isatty()
        self._tenth = -1
        self._done, self._left = "█░" if can_show("█░", stream) else "#."

    def show(self, fraction: float, text: str) -> None:
        """`fraction` from 0 to 1; `text` is what stands behind the bar."""
        if self._in_place:
            filled = round(30 * fraction)
            self._stream.write(f"\r\033[K{self._done * filled}{self._left * (30 - filled)} {text}")
        elif int(10 * fraction) > self._tenth:
            self._tenth = int(10 * fraction)
            self._stream.write(f"{fraction:5.0%}  {text}\n")
        self._stream.flush()

    def close(self) -> None:
        """Leave the line."""
        if self._in_place:
            self._stream.write("\n")
