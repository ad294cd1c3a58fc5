"""Files that a command is given, checked before the work; files that appear whole or not at all."""

from __future__ import annotations

import os
import re
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

try:
    import fcntl
except ImportError:  # Windows, where nobody can remove a file that another has open
    fcntl = None  # type: ignore[assignment]  # a module elsewhere


def check_writable(file: Path) -> None:
    """Raises ValueError where `file` cannot be written. What stands in it stays."""
    try:
        new = not file.exists()
        with file.open("ab"):
            pass
        if new:
            file.unlink()
    except OSError as error:
        raise ValueError(f"{file} cannot be written: {error.strerror}.") from None


def read_text(file: Path) -> str:
    """What stands in `file`. Raises ValueError where it cannot be read or is not UTF-8."""
    try:
        return file.read_text("utf-8")
    except OSError as error:
        raise ValueError(f"{file} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise ValueError(f"{file} is not a text in UTF-8.") from None


@contextmanager
def written_whole(path: Path, mode: int = 0o600) -> Iterator[IO[bytes]]:
    """A file to write to, which takes the place of `path` when the block ends without an error.

    Until then nobody sees it, and after an error nothing of it is left. It is locked meanwhile, by
    which `remove_leftovers` knows it from what a killed process has left. Raises OSError.
    """
    handle, partial = _locked_partial(path)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
            os.chmod(partial, mode)
            if fcntl is not None:  # while it is locked: once it has its name it is no leftover
                os.replace(partial, path)
        if fcntl is None:
            os.replace(partial, path)
    finally:
        with suppress(OSError):
            os.unlink(partial)


def _locked_partial(path: Path) -> tuple[int, str]:
    while True:
        handle, partial = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
        # Between the two somebody may have taken it for a leftover. Where there are no locks, it
        # stays: nobody can tell it from one that is being written.
        if _lock(handle) is not False and os.fstat(handle).st_nlink:
            return handle, partial
        os.close(handle)
        with suppress(OSError):
            os.unlink(partial)


def remove_leftovers(path: Path) -> None:
    """Delete what processes that were killed in `written_whole` have left beside `path`."""
    left = re.compile(re.escape(f".{path.name}-") + "[a-z0-9_]{8}")
    with suppress(OSError):
        for entry in list(os.scandir(path.parent)):
            if left.fullmatch(entry.name):
                with suppress(OSError):
                    _remove_unless_held(entry.path)


def _remove_unless_held(partial: str) -> None:
    if not stat.S_ISREG(os.lstat(partial).st_mode):
        return
    if fcntl is None:
        os.unlink(partial)
        return
    handle = os.open(partial, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        if _lock(handle):
            os.unlink(partial)
    finally:
        os.close(handle)


def _lock(handle: int) -> bool | None:
    """Whether the file was free, and is ours until it is closed; None where nobody can tell."""
    if fcntl is None:
        return True
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a disk without locks
        return None
    return True
