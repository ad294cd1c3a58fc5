"""What travels to the browser, and how exactly."""

from __future__ import annotations

import base64

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from gpt2 import Tokenizer
from gpt2.ui.wire import encode_rows, pack_rows, wire_tokens

TOKENIZER = Tokenizer(400)


@st.composite
def newest_rows(draw: st.DrawFn) -> np.ndarray:
    """(H, T, S) with T the newest of S."""
    heads, fed, before = draw(st.integers(1, 4)), draw(st.integers(0, 6)), draw(st.integers(0, 6))
    shape = (heads, fed, before + fed)
    return draw(arrays.arrays(np.float32, shape, elements=st.floats(0, 1, width=32)))


def unpacked(packed: bytes, start: int, heads: int) -> list[np.ndarray]:
    """As assets/panel/wire.js reads it: row i is (H, i + 1) weights."""
    rows, at = [], 0
    while at < len(packed):
        width = start + len(rows) + 1
        levels = np.frombuffer(packed, np.uint8, heads * width, at).reshape(heads, width)
        rows.append((levels / 255.0) ** 2)
        at += heads * width
    assert at == len(packed)
    return rows


@settings(deadline=None, max_examples=200)
@given(rows=newest_rows())
def test_rows_come_back_within_0_004_and_without_the_future(rows: np.ndarray) -> None:
    heads, fed, attended = rows.shape
    start = attended - fed
    found = unpacked(pack_rows(rows), start, heads)
    assert len(found) == fed
    for i, row in enumerate(found):
        np.testing.assert_allclose(row, rows[:, i, : start + i + 1], atol=0.004, rtol=0)


@settings(deadline=None, max_examples=50)
@given(rows=newest_rows(), cut=st.integers(0, 6))
def test_rows_packed_in_two_pieces_are_rows_packed_at_once(rows: np.ndarray, cut: int) -> None:
    fed = rows.shape[1]
    cut = min(cut, fed)
    end = rows.shape[2] - (fed - cut)
    assert pack_rows(rows[:, :cut, :end]) + pack_rows(rows[:, cut:]) == pack_rows(rows)


def test_the_layout_is_row_by_row_and_head_by_head() -> None:
    rows = np.array([[[1, 0, 9], [0.25, 0.04, 0]], [[0, 1, 9], [0.36, 0, 0.64]]], np.float32)
    first, second = [255, 0, 0, 255], [128, 51, 0, 153, 0, 204]
    assert list(pack_rows(rows)) == [*first, *second]


def test_rounding_errors_of_a_softmax_do_not_wrap_around() -> None:
    assert list(pack_rows(np.array([[[-1e-7, 1 + 1e-6]]], np.float32))) == [0, 255]


@given(packed=st.binary())
def test_base64_carries_every_byte(packed: bytes) -> None:
    assert base64.b64decode(encode_rows(packed)) == packed


@given(ids=st.lists(st.integers(0, TOKENIZER.vocab_size - 1)))
def test_tokens_lose_nothing(ids: list[int]) -> None:
    back = b""
    for token, sent in zip(ids, wire_tokens(TOKENIZER, ids), strict=True):
        if isinstance(sent, str):
            piece = sent.encode()
        elif "special" in sent:
            assert (token, sent) == (TOKENIZER.end_of_text, {"special": "<|endoftext|>"})
            piece = b"<|endoftext|>"
        else:
            piece = bytes.fromhex(sent["hex"])
        back += piece
    assert back == b"".join(map(TOKENIZER.token_bytes, ids))


def test_half_a_character_travels_as_its_bytes() -> None:
    assert wire_tokens(TOKENIZER, [TOKENIZER.encode("é")[0], 65]) in (
        [{"hex": "c3"}, "b"],
        ["é", "b"],
    )
