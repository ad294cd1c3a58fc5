"""Rows as bytes: what comes back sums to 1 and is off by no more than is promised."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from gpt2.interpret.row_codec import to_levels, to_plain_levels, to_weights
from tests.examples import examples

shapes = st.tuples(st.integers(1, 3), st.integers(1, 4), st.integers(1, 24))
scores = shapes.flatmap(
    lambda shape: arrays.arrays(np.float32, shape, elements=st.floats(-30, 30, width=32))
)


def softmax(scores: np.ndarray) -> np.ndarray:
    exponents = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return (exponents / exponents.sum(axis=-1, keepdims=True)).astype(np.float32)


@examples(200)
@given(scores=scores)
def test_rows_come_back_within_0_012_and_sum_to_one(scores: np.ndarray) -> None:
    rows = softmax(scores)
    back = to_weights(to_levels(rows))
    assert back.dtype == np.float32
    np.testing.assert_allclose(back, rows, atol=0.012, rtol=0)
    np.testing.assert_allclose(back.sum(axis=-1), 1, atol=1e-5)
    assert back.min() >= -1e-6


@pytest.mark.parametrize("count", [30, 256, 1024])
def test_one_large_weight_among_many_small_ones_keeps_its_size(count: int) -> None:
    """Many small shares rounded the same way must not be paid for by the large one."""
    row = np.full(count, 0.5 / count, np.float32)
    row[count // 2] += 0.5
    np.testing.assert_allclose(to_weights(to_levels(row)), row, atol=0.006)
    random = np.random.default_rng(count)
    rows = softmax(3 * random.standard_normal((500, count)).astype(np.float32))
    off = abs(to_weights(to_levels(rows)) - rows)
    assert (off.max(axis=-1) < 0.004).mean() > 0.9


def test_what_is_left_beside_the_first_token_stays_sharp() -> None:
    """Two per cent of a row, shared out unequally: a byte per weight would lose it."""
    row = np.array([[0.98, 0.015, 0.004, 0.001]], np.float32)
    back = to_weights(to_levels(row))
    np.testing.assert_allclose(back[:, 1:] / back[:, 1:].sum(), row[:, 1:] / 0.02, atol=0.004)


def test_the_first_row_reads_only_itself() -> None:
    one = np.ones((2, 3, 1), np.float32)
    assert to_levels(one).tolist() == [[[0]] * 3] * 2
    assert to_weights(to_levels(one)).tolist() == one.tolist()


def test_all_on_the_first_token_and_nothing_on_it() -> None:
    rows = np.array([[1, 0, 0], [0, 0.5, 0.5]], np.float32)
    np.testing.assert_allclose(to_weights(to_levels(rows)), rows, atol=1e-6)


@given(arrays.arrays(np.float32, 9, elements=st.floats(0, 1, width=32)))
def test_plain_levels_are_square_roots(rows: np.ndarray) -> None:
    levels = to_plain_levels(rows)
    np.testing.assert_allclose((levels / 255.0) ** 2, rows, atol=0.004)
