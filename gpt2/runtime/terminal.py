"""How a command meets its terminal: what it writes with, what it was given, and how it ends."""

from __future__ import annotations

import errno
import io
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO

WRONG, INTERRUPTED = 2, 130
_NO_MEMORY = ("can't allocate memory", "bad_alloc", "CUDA out of memory")


def run(
    command: Callable[[], int], user_errors: tuple[type[Exception], ...] = (ValueError,)
) -> int:
    """The exit code of `command`: its own, or 2 with a sentence, or 130 after Ctrl-C.

    A sentence is what `user_errors` say, and what can be said of files, of standard output that
    takes no more and of memory. A reader that has left (`| head`) is no error.
    """
    try:
        prepare()
        try:
            return command()
        finally:
            for stream in (sys.stdout, sys.stderr):
                stream.flush()  # at exit it would be too late to tell of a full disk
    except user_errors as error:
        return _say(*str(error).splitlines())
    except BrokenPipeError:
        # Python would complain when it flushes the closed pipe at exit.
        _write_nowhere()
        return 0
    except KeyboardInterrupt:
        with suppress(OSError):
            print(file=sys.stderr)
        return INTERRUPTED
    except OSError as error:
        if "No usable temporary directory" in str(error):
            return _say("No folder for temporary files can be written. Let TMPDIR name one.")
        if error.filename is None and error.errno not in _OF_OUTPUT:
            raise
        if error.filename is None:
            _write_nowhere(1)
        return _say(f"{error.filename or 'Standard output'} cannot be used: {error.strerror}.")
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and not any(w in str(error) for w in _NO_MEMORY):
            raise
        return _say("There is not enough memory. Choose a smaller size or a smaller precision.")


_OF_OUTPUT = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF)


def _say(*sentences: str) -> int:
    with suppress(OSError):
        for sentence in sentences:
            print(f"error: {sentence}", file=sys.stderr, flush=True)
    return WRONG


def prepare() -> None:
    """Let every character be written and every argument be read.

    What a terminal's encoding lacks is escaped (`\\u2019`). Arguments that the locale cannot read
    (LC_ALL=C) are UTF-8. Raises ValueError where they are not, and where standard output is closed.
    """
    closed = sys.stdout is None
    open_closed_streams()
    if closed:
        raise ValueError("Standard output is closed: there is nowhere to write to.")
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a test's own may not have it
            stream.reconfigure(errors="backslashreplace")
    sys.argv = [_as_utf8(argument) for argument in sys.argv]


def open_closed_streams() -> None:
    """Where standard input, output or error is closed, use nothing in its place.

    Otherwise the next file or connection would get its number, and what is printed.
    """
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        if getattr(sys, name) is None:
            nothing = os.open(os.devnull, os.O_RDWR)
            if nothing != number:
                os.dup2(nothing, number)
                os.close(nothing)
            stream = os.fdopen(number, mode, encoding="utf-8", closefd=False)
            setattr(sys, name, stream)


class _Lenient(io.FileIO):
    """Loses what cannot be written, on a full disk or to a reader that has left."""

    def write(self, data: Any) -> int:
        try:
            return super().write(data)
        except OSError:
            return len(data)


def serve_without_terminal() -> None:
    """For a server: what it prints may be lost, and never ends it."""
    open_closed_streams()
    for number, name in ((1, "stdout"), (2, "stderr")):
        old = getattr(sys, name)
        old.flush()
        raw = io.BufferedWriter(_Lenient(number, "w", closefd=False))
        new = io.TextIOWrapper(
            raw, old.encoding, "backslashreplace", write_through=True, line_buffering=True
        )
        setattr(sys, name, new)


def _as_utf8(argument: str) -> str:
    try:
        argument.encode()
        return argument
    except UnicodeEncodeError:  # bytes that the locale does not know stand as lone surrogates
        try:
            return os.fsencode(argument).decode()
        except UnicodeDecodeError:
            raise ValueError(
                "Arguments must be UTF-8, or in the encoding of this locale."
            ) from None


@contextmanager
def ended_by_ctrl_c() -> Iterator[None]:
    """While modules are imported, Ctrl-C ends the process at once, without a traceback of them."""
    before = signal.getsignal(signal.SIGINT)
    if before is not signal.default_int_handler:  # ignored (`nohup`), or a caller's own
        yield
        return
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def can_show(text: str, stream: TextIO) -> bool:
    """Whether the stream's encoding has all of `text`."""
    try:
        text.encode(getattr(stream, "encoding", None) or "utf-8")
        return True
    except UnicodeEncodeError:
        return False


def _write_nowhere(*numbers: int) -> None:
    nothing = os.open(os.devnull, os.O_WRONLY)
    for number in numbers or (1, 2):
        os.dup2(nothing, number)
