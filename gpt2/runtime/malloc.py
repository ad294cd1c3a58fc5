"""glibc's malloc: few arenas for many threads, large blocks by mmap, and free memory returned."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager, suppress

# Of glibc's malloc.h; mallopt(3).
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
_ARENAS = 2
_LARGE = 2**20  # bytes of a block that is probably a matrix
_LARGEST = 2**25  # where glibc's own threshold ends up, twice that much free memory being kept


def limit_arenas() -> None:
    """Let all threads share two arenas, where the C library is glibc; to be called at the start.

    It makes one for each of up to 8 threads a core, and what a hundred visitors' threads leave
    behind in them is rarely given back: the process grows for as long as it is visited.
    """
    _mallopt(_ARENA_MAX, _ARENAS)


@contextmanager
def large_blocks_via_mmap() -> Iterator[None]:
    """While weights are loaded: matrices lie outside the arenas and leave no holes when freed.

    Packing int8 weights leaves holes of an eighth of what it takes, and at times a fifth, that no
    later block fits.
    """
    _mallopt(_MMAP_THRESHOLD, _LARGE)
    try:
        yield
    finally:
        reuse_freed()
        trim()


def reuse_freed() -> None:
    """Keep what one token's arrays leave for the next token's; to be called before a model is used.

    As it starts, glibc gives 200 kB, the logits of one place, back to the system each time they are
    freed, and getting its pages anew takes longer than choosing a token from them.
    """
    _mallopt(_MMAP_THRESHOLD, _LARGEST)
    _mallopt(_TRIM_THRESHOLD, 2 * _LARGEST)


def _mallopt(parameter: int, value: int) -> None:
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(parameter, value)


def trim() -> None:
    """Return to the system what was freed and glibc would keep; to be called when much was."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
