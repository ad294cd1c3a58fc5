"""Memory that is let go goes back, also from between what stays."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from gpt2.bench.worker import resident_bytes
from gpt2.heaps import give_back, without_holes

MEGABYTES = 2**20

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="tells memory from /proc")


def blocks(size: int) -> list[np.ndarray]:
    return [np.ones(size, np.uint8) for _ in range(64)]


def test_a_matrix_let_go_while_loading_leaves_no_hole() -> None:
    with without_holes():
        held = blocks(2 * MEGABYTES)
        before = resident_bytes("RssAnon")
        del held[::2]
        assert before - resident_bytes("RssAnon") > 60 * MEGABYTES
    assert len(held) == 32


def test_what_is_free_in_the_heaps_is_given_back() -> None:
    held = blocks(MEGABYTES // 16)
    last = blocks(8)  # so that what is freed is not the end of the heap
    before = resident_bytes("RssAnon")
    del held
    give_back()
    assert before - resident_bytes("RssAnon") > 3 * MEGABYTES
    assert len(last) == 64
