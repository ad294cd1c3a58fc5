"""A file as memory, which nobody can take away.

Whoever cuts a mapped file short ends the process that reads it (SIGBUS), and whoever writes over it
changes what is read: `cp` onto it does both. Linux lends a lease on a file (fcntl(2), F_SETLEASE):
who would open it to write, or cut it short, waits until the holder has let go, 45 seconds at most.
In that time the content is copied into memory of our own, which takes the place of the mapping at
the same address, while passes go on reading it.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import signal
import threading
import weakref
from contextlib import suppress
from io import FileIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]  # a module elsewhere

_BREAK_TIME = Path("/proc/sys/fs/lease-break-time")
_LEAST_SECONDS = 20  # enough to copy the largest model
_LOOK = 0.5  # seconds between two looks whether somebody waits
_MAYMOVE, _FIXED = 1, 2  # of mremap(2)
_FAILED = ctypes.c_void_p(-1).value

_lock = threading.Lock()
_held: dict[int, weakref.ref[mmap.mmap]] = {}  # by the file with the lease
_watching = False


def mapped(file: FileIO) -> npt.NDArray[np.uint8] | None:
    """The whole content of `file`, read-only; None where the system lends no lease on it.

    That is so on other systems than Linux and on disks of a network, for files of other users, and
    while somebody has it open to write.
    """
    lease = _lease(file)
    if lease is None:
        return None
    try:
        memory = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError):
        os.close(lease)
        raise
    with suppress(AttributeError, OSError):
        memory.madvise(mmap.MADV_WILLNEED)  # read ahead, by the system, while others prepare
    _hold(lease, memory)
    return np.frombuffer(memory, np.uint8)


def _lease(file: FileIO) -> int | None:
    """The file opened once more, with a lease on it."""
    if not hasattr(fcntl, "F_SETLEASE"):
        return None
    lease = None
    try:
        if int(_BREAK_TIME.read_text("ascii")) < _LEAST_SECONDS:
            return None
        lease = os.dup(file.fileno())
        # Who waits is announced by a signal, which by itself would end the process; this one is
        # ignored unless somebody asks for it, and we look by ourselves.
        fcntl.fcntl(lease, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(lease, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except (OSError, ValueError):
        if lease is not None:
            os.close(lease)
        return None
    return lease


def _hold(lease: int, memory: mmap.mmap) -> None:
    global _watching
    with _lock:
        _held[lease] = weakref.ref(memory)
        weakref.finalize(memory, _let_go, lease)
        if not _watching:
            _watching = True
            threading.Thread(target=_watch, name="gpt2-leases", daemon=True).start()


def _let_go(lease: int) -> None:
    """Nobody has the memory any more, or it is our own now."""
    with _lock:
        if _held.pop(lease, None) is not None:
            with suppress(OSError):  # closing alone is not enough: the mapping has the file too
                fcntl.fcntl(lease, fcntl.F_SETLEASE, fcntl.F_UNLCK)
            os.close(lease)


def _watch() -> None:
    """As long as there are leases."""
    global _watching
    pause = threading.Event()
    while True:
        pause.wait(_LOOK)
        with _lock:
            held = list(_held.items())
            if not held:
                _watching = False
                return
        for lease, kept in held:
            memory = kept()
            if memory is not None and _is_wanted(lease):
                with suppress(MemoryError):  # there may be some when we look again
                    _own(memory)
                    _let_go(lease)
            del memory


def _is_wanted(lease: int) -> bool:
    """Whether somebody waits to write."""
    try:
        return fcntl.fcntl(lease, fcntl.F_GETLEASE) == fcntl.F_UNLCK
    except OSError:  # it has been let go meanwhile
        return False


def _own(memory: mmap.mmap) -> None:
    """Put a copy in memory of our own in the place of the mapping, all at once."""
    system: Any = ctypes.CDLL(None, use_errno=True)
    pointer, size = ctypes.c_void_p, ctypes.c_size_t
    for function, arguments in (
        (system.mmap, (pointer, size, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long)),
        (system.mremap, (pointer, size, size, ctypes.c_int, pointer)),
    ):
        function.argtypes, function.restype = arguments, pointer
    length = len(memory)
    place = np.frombuffer(memory, np.uint8).ctypes.data
    readable = mmap.PROT_READ | mmap.PROT_WRITE
    copy = system.mmap(None, length, readable, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, -1, 0)
    if copy == _FAILED:
        raise MemoryError("no memory for a file that somebody writes over")
    ctypes.memmove(copy, place, length)
    if system.mremap(copy, length, length, _MAYMOVE | _FIXED, place) != place:
        raise MemoryError("no place for a file that somebody writes over")
