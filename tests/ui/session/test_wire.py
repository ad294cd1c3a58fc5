"""What travels to the browser, and how exactly."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpt2 import Tokenizer
from gpt2.ui.session.wire import (
    Frame,
    Kind,
    TokenRecord,
    frame,
    frames_in,
    pack_rows,
    pack_tokens,
    token_ids,
    tokens_in,
    wire_tokens,
)
from tests.tokenizer.test_files import byte_level, train

TOKENIZER = Tokenizer(400)


@given(st.lists(st.binary(min_size=1, max_size=5)))
def test_rows_lie_one_after_another(rows: list[bytes]) -> None:
    levels = [np.frombuffer(row, np.uint8) for row in rows]
    assert pack_rows(levels) == b"".join(rows)


def test_frames_are_read_as_they_were_packed() -> None:
    packed = frame(Kind.ROWS, 3, b"abc", 7, 2) + frame(Kind.ALIVE, 0) + frame(Kind.END, 255, b"{}")
    assert frames_in(packed) == [
        Frame(Kind.ROWS, 3, 7, 2, b"abc"),
        Frame(Kind.ALIVE, 0, 0, 0, b""),
        Frame(Kind.END, 255, 0, 0, b"{}"),
    ]
    for cut in (1, 15, 16, 18):
        with pytest.raises(ValueError, match="cut off"):
            frames_in(packed[:cut])


@given(
    ids=st.lists(st.integers(0, TOKENIZER.vocab_size - 1)),
    guesses=st.lists(st.none() | st.integers(0, TOKENIZER.vocab_size - 1)),
)
def test_tokens_and_guesses_are_read_as_they_were_packed(
    ids: list[int], guesses: list[int | None]
) -> None:
    records = [
        TokenRecord.of(TOKENIZER, token, 0.5 * place, guesses[place] if guesses[place:] else None)
        for place, token in enumerate(ids)
    ]
    assert tokens_in(pack_tokens(records)) == records
    assert [record.token for record in records] == ids


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


def test_whatever_ends_a_text_is_marked_and_comes_back(tmp_path: Path) -> None:
    train(tmp_path, byte_level())
    own = Tokenizer.for_folder(tmp_path, 2000, [0, 1])
    ids = [0, 5, 1, own.vocab_size - 1]
    sent = wire_tokens(own, ids)
    assert sent[0] == {"special": "<|endoftext|>"} and sent[2] == {"special": "<pad>"}
    assert token_ids(own, sent) == ids
    for forged in ({"special": "<other>"}, {"special": "\ud800"}, {"special": 3}, {}):
        with pytest.raises(ValueError, match="token"):
            token_ids(own, [forged])  # type: ignore[list-item]  # what a stranger sends
