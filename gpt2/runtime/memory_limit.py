"""How much memory this process may use: the machine's, or less where a limit is set."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from pathlib import Path

from gpt2.runtime.control_groups import MEMBERSHIP, MOUNT, group_files
from gpt2.runtime.units import format_bytes

# PyTorch and Gradio map 0.9 GB with two threads; every further one takes some.
LEAST_ADDRESS_SPACE = 1_200_000_000


def memory_limit() -> int:
    """Bytes: the least of the machine's memory, its control groups' limits and `ulimit -v`."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    address_space, _ = resource.getrlimit(resource.RLIMIT_AS)
    own = [] if address_space == resource.RLIM_INFINITY else [address_space]
    return min(machine, *own, *group_limits(MEMBERSHIP, MOUNT))


def check_address_space() -> None:
    """Raises ValueError where `ulimit -v` leaves less than the libraries map.

    They would abort, or a thread of theirs would and the program wait for it.
    """
    allowed, _ = resource.getrlimit(resource.RLIMIT_AS)
    if allowed != resource.RLIM_INFINITY and allowed < LEAST_ADDRESS_SPACE:
        raise ValueError(
            f"`ulimit -v` allows {format_bytes(allowed)} of address space; at least "
            f"{format_bytes(LEAST_ADDRESS_SPACE)} are needed, and the weights come on top."
        )


def group_limits(membership: Path, mount: Path) -> Iterator[int]:
    """The limit of every group that sets one."""
    names = "memory.max", "memory.limit_in_bytes"
    for file in group_files("memory", *names, membership, mount):
        # "max" says that there is none; version 1 writes a huge number for that.
        if (limit := file.read_text().strip()).isdigit():
            yield int(limit)
