"""Memory that is let go goes back, also from between what stays."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="tells memory from /proc")

# In a process of its own: in another's heaps there may be room for any block.
_SCRIPT = """
import numpy as np
from gpt2.bench.worker import resident_bytes
from gpt2.runtime.malloc import trim, large_blocks_via_mmap

def freed(size, every):
    held = [np.ones(size, np.uint8) for _ in range(64)]
    last = [np.ones(8, np.uint8) for _ in range(64)]  # what is freed is not the end of the heap
    before = resident_bytes("RssAnon")
    del held[::every]
    trim()
    return before - resident_bytes("RssAnon")

with large_blocks_via_mmap():
    print(freed(2**21, 2))
print(freed(2**16, 1))
"""


def test_what_is_let_go_is_given_back() -> None:
    command = [sys.executable, "-c", _SCRIPT]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    matrices, small = map(int, run.stdout.split())
    assert matrices > 60 * 2**20
    assert small > 3 * 2**20
