"""python -m gpt2 download, and the bar that every command shows while it downloads."""

from __future__ import annotations

from types import TracebackType

from gpt2.checkpoint import Progress, fetch, find_source
from gpt2.runtime.progress_bar import ProgressBar


def download(size: str) -> None:
    """Fetch `size` and print the folder where its files are, for scripts, on standard output."""
    with DownloadBar() as bar:
        folder = fetch(find_source(size), bar)
    print(folder)


class DownloadBar:
    """Shows download progress on standard error; nothing for files that are here already."""

    def __init__(self) -> None:
        self._bar: ProgressBar | None = None

    def __enter__(self) -> DownloadBar:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __call__(self, progress: Progress) -> None:
        self._bar = self._bar or ProgressBar()
        self._bar.show(progress.fraction, progress.words)

    def close(self) -> None:
        """Leave the line, if there is one."""
        if self._bar:
            self._bar.close()
