"""Work in a thread of its own."""

from __future__ import annotations

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
    def tasks() -> int:
        return len(list(Path("/proc/self/task").iterdir()))

    @apart
    def compute() -> int:
        (torch.ones(1 << 20) + 1).sum()
        return tasks()

    before = tasks()
    assert compute() > before
    assert until(lambda: tasks() <= before)  # they end a moment after it
