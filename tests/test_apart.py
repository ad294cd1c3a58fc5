"""Work in a thread of its own."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest
import torch

from gpt2.apart import apart
from tests.small import until


def test_it_gives_what_the_work_gives() -> None:
    assert apart(lambda a, b: a - b)(5, b=3) == 2
    assert apart(threading.get_ident)() != threading.get_ident()
    with pytest.raises(ZeroDivisionError):
        apart(lambda: 1 / 0)()


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="only Linux lists threads there")
def test_the_threads_it_computed_with_are_gone_afterwards() -> None:
    def tasks() -> set[str]:
        return {task.name for task in Path("/proc/self/task").iterdir()}

    @apart
    def compute() -> set[str]:
        (torch.ones(1 << 20) + 1).sum()
        return tasks()

    before = tasks()
    of_it = compute() - before  # by number: another test's threads may be ending meanwhile
    assert len(of_it) >= torch.get_num_threads()
    assert until(lambda: not of_it & tasks())  # they end a moment after it


ASKING = """
import os, time, torch
torch.set_num_threads(2)
from gpt2.config import SIZES
from gpt2.precision import choose_precision
before = len(os.listdir("/proc/self/task"))
choose_precision("auto", SIZES["small"].config)
end = time.monotonic() + 5
while (left := len(os.listdir("/proc/self/task")) - before) and time.monotonic() < end:
    time.sleep(0.01)
print(left)
"""


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="only Linux lists threads there")
def test_asking_for_the_usual_precision_leaves_no_threads() -> None:
    """One more of them than CPUs, and every token of the page took half as long again."""
    done = subprocess.run(
        [sys.executable, "-c", ASKING], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "0"
