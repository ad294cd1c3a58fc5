"""How many threads compute: as many as this process has CPUs, and not as the machine has.

PyTorch counts the machine's. A container with two CPUs of 64 would start 64 threads that wait for
each other at every matrix product.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path

import torch

from gpt2.runtime import settings
from gpt2.runtime.control_groups import MEMBERSHIP, MOUNT, group_files

# What the environment may say: ours, the one of OpenMP, and how a Space tells its hardware.
VARIABLES = (settings.THREADS, settings.OMP_NUM_THREADS, settings.CPU_CORES)


def set_threads() -> None:
    """Have PyTorch use `thread_count()` threads. Raises ValueError for a variable that is wrong."""
    torch.set_num_threads(thread_count())


def thread_count() -> int:
    """The first of VARIABLES that is set, else the CPUs that this process may use, rounded up."""
    for variable in VARIABLES:
        if (count := variable.get()) is not None:
            return count
    affinity = getattr(os, "sched_getaffinity", None)  # Linux has it
    own = len(affinity(0)) if affinity else os.cpu_count() or 1
    return math.ceil(min([own, *cpu_quotas(MEMBERSHIP, MOUNT)]))


def cpu_quotas(membership: Path, mount: Path) -> Iterator[float]:
    """CPUs that every control group of this process may use together, where it is limited."""
    for file in group_files("cpu", "cpu.max", "cpu.cfs_quota_us", membership, mount):
        quota, *rest = file.read_text().split()  # microseconds of CPU in a period, or "max", or -1
        period = rest[0] if rest else file.with_name("cpu.cfs_period_us").read_text()
        if quota.isdigit():
            yield int(quota) / int(period)
