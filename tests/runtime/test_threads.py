"""Threads: of the environment, of the control groups, of the machine."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from gpt2.runtime.threads import VARIABLES, cpu_quotas, thread_count


@pytest.fixture(autouse=True)
def nothing_said(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in VARIABLES:
        monkeypatch.delenv(variable.name, raising=False)


def test_a_group_s_quota_counts(tmp_path: Path) -> None:
    membership, mount = tmp_path / "cgroup", tmp_path / "mount"
    membership.write_text("0::/service\n4:cpu,cpuacct:/old\n")
    (mount / "service").mkdir(parents=True)
    (mount / "cpu/old").mkdir(parents=True)
    assert list(cpu_quotas(membership, mount)) == []
    (mount / "cpu.max").write_text("max 100000\n")
    (mount / "service/cpu.max").write_text("150000 100000\n")
    (mount / "cpu/old/cpu.cfs_quota_us").write_text("50000\n")
    (mount / "cpu/old/cpu.cfs_period_us").write_text("100000\n")
    assert sorted(cpu_quotas(membership, mount)) == [0.5, 1.5]
    (mount / "cpu/old/cpu.cfs_quota_us").write_text("-1\n")
    assert list(cpu_quotas(membership, mount)) == [1.5]


def test_the_first_variable_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    assert 1 <= thread_count() <= (os.cpu_count() or 1)
    for count, variable in enumerate(reversed(VARIABLES), start=3):
        monkeypatch.setenv(variable.name, str(count))
        assert thread_count() == count


@pytest.mark.parametrize("wrong", ["0", "-1", "two", "1.5", "100000", "9" * 30, "²", "1 2"])
def test_a_wrong_variable_is_said(monkeypatch: pytest.MonkeyPatch, wrong: str) -> None:
    monkeypatch.setenv("GPT2_THREADS", wrong)
    with pytest.raises(
        ValueError, match="GPT2_THREADS must be a whole number from 1 to 1,024, not"
    ):
        thread_count()


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="only Linux pins processes")
def test_a_process_pinned_to_one_cpu_uses_one_thread() -> None:
    code = """
import os
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
import torch
from gpt2.runtime.threads import set_threads
set_threads()
print(torch.get_num_threads())
"""
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout == "1\n"


def test_openmp_s_number_for_each_level_counts_by_its_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", " 4, 2")
    assert thread_count() == 4
