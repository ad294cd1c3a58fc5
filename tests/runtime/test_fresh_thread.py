"""Work in a thread of its own."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
import torch

from gpt2.runtime.fresh_thread import run_in_fresh_thread
from tests.small import until


def test_it_gives_what_the_work_gives() -> None:
    assert run_in_fresh_thread(lambda a, b: a - b)(5, b=3) == 2
    assert run_in_fresh_thread(threading.get_ident)() != threading.get_ident()
    with pytest.raises(ZeroDivisionError):
        run_in_fresh_thread(lambda: 1 / 0)()


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="only Linux lists threads there")
def test_the_threads_it_computed_with_are_gone_afterwards() -> None:
    def tasks() -> set[str]:
        return {task.name for task in Path("/proc/self/task").iterdir()}

    @run_in_fresh_thread
    def compute() -> set[str]:
        (torch.ones(1 << 20) + 1).sum()
        return tasks()

    before = tasks()
    of_it = compute() - before  # by number: another test's threads may be ending meanwhile
    assert len(of_it) >= torch.get_num_threads()
    assert until(lambda: not of_it & tasks())  # they end a moment after it
