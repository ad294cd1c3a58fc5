"""The compiled loops and the NumPy ones are the same to the last bit."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from gpt2.cpu import PRECISIONS, twin
from gpt2.cpu.compiler import compiled
from gpt2.cpu.formats import FORMATS, GROUP, OUTPUTS, from_bfloat16, pack, unpack, whole_numbers
from gpt2.cpu.layout import (
    ADD,
    GELU,
    LOOP_EXPONENTIALS,
    LOOP_HALVES,
    LOOP_MIX,
    LOOP_PRODUCT,
    LOOP_SCORES,
    SHIFT,
    STORE,
)
from tests.cpu.models import SHAPES, executor, text_ids

CODE = compiled("int8", 64)
FINITE = st.floats(-1e4, 1e4, width=32)


def call(place: int, *arguments: int, precision: str = "int8") -> None:
    """One compiled loop."""
    code = compiled(precision, 64)
    kind = ctypes.CFUNCTYPE(None, *[ctypes.c_int64] * len(arguments))
    kind(int(code.loops[place]))(*arguments)


def address(array: np.ndarray) -> int:
    return array.ctypes.data


@given(arrays.arrays(np.float32, 64, elements=FINITE), st.floats(2**-6, 2, width=32))
def test_exponentials(scores: np.ndarray, scale: float) -> None:
    largest = scores.max()
    found = scores.copy()
    call(LOOP_EXPONENTIALS, address(found), 4, address(np.array([largest, scale], np.float32)))
    np.testing.assert_array_equal(found, twin.exp((scores - largest) * np.float32(scale)))


def test_exp_is_exp() -> None:
    x = np.linspace(-80, 80, 100_001, dtype=np.float32)
    error = twin.exp(x).astype(np.float64) / np.exp(x.astype(np.float64)) - 1
    assert np.abs(error).max() < 3e-7


@given(
    arrays.arrays(
        np.float32, 32, elements=st.floats(width=32, allow_nan=False, allow_infinity=False)
    )
)
def test_halves(x: np.ndarray) -> None:
    found = np.empty(32, np.float16)
    call(LOOP_HALVES, address(x), address(found), 2)
    np.testing.assert_array_equal(found, x.clip(-65504, 65504).astype(np.float16))


@given(
    arrays.arrays(np.float32, 40, elements=st.floats(-(2**33), 2**33, width=32)),
    arrays.arrays(np.float32, 40, elements=st.floats(-(2**33), 2**33, width=32)),
    arrays.arrays(np.float32, 40, elements=st.floats(-(2**66), 2**66, width=32)),
)
def test_a_fused_product_is_rounded_once(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> None:
    from fractions import Fraction

    for found, a, b, c in zip(twin.fma(x, y, z), x, y, z, strict=True):
        exact = Fraction(float(a)) * Fraction(float(b)) + Fraction(float(c))
        neighbours = (
            np.nextafter(found, np.float32(-np.inf)),
            np.nextafter(found, np.float32(np.inf)),
        )
        mine = abs(Fraction(float(found)) - exact)
        assert all(mine <= abs(Fraction(float(n)) - exact) for n in neighbours if np.isfinite(n))


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("rows", range(1, CODE.target.most_rows + 1))
@pytest.mark.parametrize("mode", [STORE, GELU, ADD, SHIFT])
def test_product(precision: str, rows: int, mode: int) -> None:
    """A block of sixteen outputs, for every number of rows."""
    kind = FORMATS[precision]
    random = np.random.default_rng(rows)
    groups = 3
    weights = random.standard_normal((OUTPUTS, groups * GROUP), dtype=np.float32)
    x = random.standard_normal((rows, groups * GROUP), dtype=np.float32)
    blocks = pack(weights, kind)
    bias = random.standard_normal(OUTPUTS, dtype=np.float32)
    before = random.standard_normal((rows, OUTPUTS), dtype=np.float32)
    shifts = random.standard_normal(rows, dtype=np.float32)
    y = before.copy()
    expected = np.zeros((rows, OUTPUTS), np.float32)
    if kind.quantised:
        given_x, scales = twin.quantise(x)
        stored = blocks.reshape(1, groups, -1)
        whole = whole_numbers(stored, kind)[0]
        bits = np.ascontiguousarray(stored[0, :, : 2 * OUTPUTS]).view(np.uint16)
        for g in range(groups):
            part = given_x[:, g * GROUP : (g + 1) * GROUP].astype(np.int64)
            exact = (part @ whole[:, g].astype(np.int64).T).astype(np.float32)
            expected = twin.fma(exact, from_bfloat16(bits[g])[None], expected)
        expected = expected * scales
    else:
        given_x, scales = x, np.ones((rows, 1), np.float32)
        as_stored = unpack(blocks, kind, *weights.shape)
        for k in range(groups * GROUP):
            expected = twin.fma(x[:, k : k + 1], as_stored[None, :, k], expected)
    expected = expected + bias
    expected = {
        STORE: lambda: expected,
        GELU: lambda: twin.gelu(expected),
        ADD: lambda: before + expected,
        SHIFT: lambda: expected + shifts[:, None],
    }[mode]()
    sums = given_x.reshape(rows, groups, GROUP).sum(-1, dtype=np.int32)
    arguments = (
        address(blocks),
        address(given_x),
        given_x.strides[0],
        address(sums),
        groups * 4,
        groups,
        address(scales),
        address(bias),
        address(y),
        y.strides[0],
        mode,
        address(shifts),
    )
    call(LOOP_PRODUCT + rows, *arguments, precision=precision)
    np.testing.assert_array_equal(y, expected)


@pytest.mark.parametrize("precision", ["int8", "float32"])
@pytest.mark.parametrize("queries", range(1, CODE.target.most_queries + 1))
def test_attention(precision: str, queries: int) -> None:
    """Scores and mixes of the loops are those of one query after the other."""
    dtype = np.float32 if precision == "float32" else np.float16
    random = np.random.default_rng(queries)
    tokens, width = 64, 64
    q = random.standard_normal((queries, width), dtype=np.float32)
    k, v = random.standard_normal((2, tokens, width)).astype(dtype)
    tiled = np.ascontiguousarray(k.reshape(-1, 32, width).transpose(0, 2, 1))
    scores = np.empty((queries, tokens), np.float32)
    call(
        LOOP_SCORES + queries,
        *(address(q), q.strides[0], address(tiled), tokens // 32),
        *(address(scores), scores.strides[0]),
        precision=precision,
    )
    found = np.empty((queries, width), np.float32)
    weights = random.random((queries, tokens), dtype=np.float32)
    call(
        LOOP_MIX + queries,
        *(address(weights), weights.strides[0], address(v), tokens),
        *(address(found), found.strides[0]),
        precision=precision,
    )
    for n in range(queries):
        score = np.zeros(tokens, np.float32)
        for d in range(width):
            score = twin.fma(q[n, d : d + 1], k[:, d].astype(np.float32), score)
        mixed = np.zeros(width, np.float32)
        for t in range(tokens):
            mixed = twin.fma(weights[n, t : t + 1], v[t].astype(np.float32), mixed)
        np.testing.assert_array_equal(scores[n], score)
        np.testing.assert_array_equal(found[n], mixed)


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("shape", SHAPES)
def test_the_whole_pass(shape: str, precision: str) -> None:
    config = SHAPES[shape]
    made = executor(config, precision, outliers=shape == "usual")
    ids = text_ids(config, 40)
    place = np.arange(len(ids))
    found = made.run(ids, place, 0 * place, place).logits
    np.testing.assert_array_equal(found, twin.logits(made.packed, ids.tolist()))
    assert made.packed.matrices[:, 3].any() == (shape == "usual" and made.packed.kind.quantised)
