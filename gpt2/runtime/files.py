"""Files that a command is given: told of before the work, not after it."""

from __future__ import annotations

from pathlib import Path


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
