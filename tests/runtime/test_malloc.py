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


# Page faults of a hundred tokens that are chosen from 50,257 and counted.
_FAULTS = """
import resource
import sys
import numpy as np
from gpt2.inference.likelihoods import choice_of
from gpt2.runtime.malloc import reuse_freed
from gpt2.sampling import USUAL, choose

if sys.argv[1:]:
    reuse_freed()
logits = np.random.default_rng(1).normal(0, 3, 50_257).astype(np.float32)
for place in range(110):
    if place == 10:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    choice_of(logits, choose(logits, USUAL, place), USUAL)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def test_a_token_does_not_fetch_its_memory_anew() -> None:
    """As glibc starts, each token gave back and fetched hundreds of pages, which took a tenth of a
    step of 124M."""
    faults = [
        int(subprocess.check_output([sys.executable, "-c", _FAULTS, *how], text=True))
        for how in ([], ["reused"])
    ]
    assert faults[0] > 10_000 > 1_000 > faults[1]
