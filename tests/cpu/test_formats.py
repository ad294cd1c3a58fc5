"""Packing and unpacking: what a format may lose, and that nothing else is lost."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from gpt2.cpu.formats import (
    FORMATS,
    GROUP,
    OUTPUTS,
    bfloat16_above,
    from_bfloat16,
    pack,
    unpack,
    up,
)

WEIGHTS = arrays.arrays(
    np.float32,
    st.tuples(st.integers(1, 40), st.integers(1, 70)),
    elements=st.floats(-100, 100, width=32),
)


@given(WEIGHTS)
def test_float32_loses_nothing(weights: np.ndarray) -> None:
    kind = FORMATS["float32"]
    np.testing.assert_array_equal(unpack(pack(weights, kind), kind, *weights.shape), weights)


@given(WEIGHTS)
def test_float16_is_numpy_s(weights: np.ndarray) -> None:
    kind = FORMATS["float16"]
    expected = weights.astype(np.float16).astype(np.float32)
    np.testing.assert_array_equal(unpack(pack(weights, kind), kind, *weights.shape), expected)


@given(WEIGHTS, st.sampled_from(["int8", "int4"]))
def test_a_weight_is_off_by_at_most_half_a_step(weights: np.ndarray, precision: str) -> None:
    """A step is the group's largest weight over 127 or 8; a scale is up to 1/128 larger."""
    kind = FORMATS[precision]
    found = unpack(pack(weights, kind), kind, *weights.shape)
    padded = np.pad(weights, ((0, 0), (0, up(weights.shape[1], GROUP) - weights.shape[1])))
    largest = np.abs(padded.reshape(len(weights), -1, GROUP)).max(-1)
    steps = 127 if precision == "int8" else 8
    # The one value of int4 that has no opposite, 8, becomes 7: a whole step.
    half = 0.5 if precision == "int8" else 1.0
    bound = np.repeat(largest / steps * (1 + 2**-7) * half, GROUP, axis=1)[:, : weights.shape[1]]
    assert (np.abs(found - weights) <= bound + 1e-6).all()


@pytest.mark.parametrize("precision", FORMATS)
def test_a_block_has_the_bytes_that_the_format_says(precision: str) -> None:
    kind = FORMATS[precision]
    packed = pack(np.ones((OUTPUTS + 1, GROUP + 1), np.float32), kind)
    assert packed.nbytes == 4 * kind.block_bytes


@given(arrays.arrays(np.float32, 9, elements=st.floats(0, 2**100, width=32)))
def test_a_scale_is_never_too_small(x: np.ndarray) -> None:
    found = from_bfloat16(bfloat16_above(x))
    assert (found >= x).all() and (found <= x * (1 + 2**-7) + 2**-120).all()
