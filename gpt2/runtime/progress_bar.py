"""One line of a terminal that says how far something is."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Column

from gpt2.runtime.units import format_percent

_WIDTH = 30  # of the bar; less where the words need the room
_PARTS = 1000  # of the whole: rich counts steps


class ProgressBar:
    """Rewrites its line in place on a terminal; elsewhere prints a line every tenth of the way.

    Nothing is shown before the first `show`. To be closed, best by `with`: rich hides the cursor.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._tenth = -1
        self._progress: Progress | None = None

    def __enter__(self) -> ProgressBar:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def show(self, fraction: float, text: str) -> None:
        """`fraction` from 0 to 1; `text` is what stands behind the bar."""
        if self._progress is None:
            self._progress = self._begin(fraction, text)
        if self._progress.disable:
            if int(10 * fraction) > self._tenth:
                self._tenth = int(10 * fraction)
                self._stream.write(f"{format_percent(fraction):>5}  {text}\n")
                self._stream.flush()
            return
        self._progress.update(self._progress.task_ids[0], completed=_PARTS * fraction, text=text)

    def close(self) -> None:
        """Leave the line, if there is one."""
        if self._progress:
            self._progress.stop()

    def _begin(self, fraction: float, text: str) -> Progress:
        # Asked of the stream, since rich takes a pipe for a terminal where FORCE_COLOR is set.
        console = Console(file=self._stream, force_terminal=self._stream.isatty())
        progress = Progress(
            BarColumn(_WIDTH),
            # The words of downloads and training: no markup, and no mark where they are cut.
            TextColumn(
                "{task.fields[text]}",
                style="none",
                markup=False,
                table_column=Column(no_wrap=True, overflow="crop"),
            ),
            console=console,
            disable=not console.is_interactive,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        progress.add_task("", total=_PARTS, completed=round(_PARTS * fraction), text=text)
        progress.start()
        return progress
