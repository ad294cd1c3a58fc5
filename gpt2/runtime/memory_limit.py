"""How much memory this process may use: the machine's, or less where a limit is set."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from pathlib import Path

from gpt2.runtime.control_groups import MEMBERSHIP, MOUNT, group_files


def memory_limit() -> int:
    """Bytes: the least of the machine's memory, its control groups' limits and `ulimit -v`."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    address_space, _ = resource.getrlimit(resource.RLIMIT_AS)
    own = [] if address_space == resource.RLIM_INFINITY else [address_space]
    return min(machine, *own, *group_limits(MEMBERSHIP, MOUNT))


def group_limits(membership: Path, mount: Path) -> Iterator[int]:
    """The limit of every group that sets one."""
    names = "memory.max", "memory.limit_in_bytes"
    for file in group_files("memory", *names, membership, mount):
        # "max" says that there is none; version 1 writes a huge number for that.
        if (limit := file.read_text().strip()).isdigit():
            yield int(limit)
