"""The memory a process may use: of the machine, of its control groups, of `ulimit -v`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from gpt2.runtime.memory_limit import group_limits, memory_limit

NO_LIMIT = {"memory.max": "max", "memory.limit_in_bytes": "9223372036854771712"}


def write(folder: Path, name: str, limit: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(limit + "\n")


@pytest.mark.parametrize(
    ("line", "top", "name"),
    [
        ("0::/system.slice/page.service", ".", "memory.max"),
        ("9:memory:/system.slice/page.service", "memory", "memory.limit_in_bytes"),
    ],
)
def test_every_group_above_counts(tmp_path: Path, line: str, top: str, name: str) -> None:
    membership = tmp_path / "cgroup"
    membership.write_text(f"8:pids:/elsewhere\n{line}\n")
    mount = tmp_path / "mount"
    assert list(group_limits(membership, mount)) == []
    write(mount / top, name, NO_LIMIT[name])
    write(mount / top / "elsewhere", name, "1")
    write(mount / top / "system.slice", name, "5000000")
    write(mount / top / "system.slice/page.service", name, "7000000")
    assert min(group_limits(membership, mount)) == 5_000_000
    # In a container the process's own group is the top one, whatever its name is outside.
    membership.write_text(line.replace("/system.slice", "/of/the/host") + "\n")
    write(mount / top, name, "3000000")
    assert set(group_limits(membership, mount)) == {3_000_000}


def test_no_control_groups_are_no_limit(tmp_path: Path) -> None:
    assert list(group_limits(tmp_path / "none", tmp_path)) == []
    assert memory_limit() > 100_000_000


def test_an_address_space_of_16_gb_is_one() -> None:
    asked = "from gpt2.runtime.memory_limit import memory_limit; print(memory_limit())"
    told = subprocess.run(
        ["bash", "-c", 'ulimit -v 1000000; exec "$0" -c "$1"', sys.executable, asked],
        capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert int(told.stdout) == 1_024_000_000
