"""Memory that comes back: few heaps for many threads, and what is free in them given up."""

from __future__ import annotations

import ctypes
from contextlib import suppress

_ARENA_MAX = -8  # M_ARENA_MAX of glibc's malloc.h; mallopt(3)
_HEAPS = 2


def share_heaps() -> None:
    """Let all threads share two heaps, where the C library is glibc; to be called at the start.

    It makes one for each of up to 8 threads a core, and what a hundred visitors' threads leave
    behind in them is rarely given back: the process grows for as long as it is visited.
    """
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(_ARENA_MAX, _HEAPS)


def give_back() -> None:
    """Return to the system what was freed; to be called when much was.

    Loading int8 weights leaves holes as large again as the weights, which glibc would keep.
    """
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
