"""What travels to the browser, and how exactly."""

from __future__ import annotations

import base64
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpt2 import Tokenizer
from gpt2.ui.wire import encode_bytes, pack_rows, token_ids, wire_tokens
from tests.tokenizer.test_files import byte_level, train

TOKENIZER = Tokenizer(400)


@given(st.lists(st.binary(min_size=1, max_size=5)))
def test_rows_lie_one_after_another(rows: list[bytes]) -> None:
    levels = [np.frombuffer(row, np.uint8) for row in rows]
    assert pack_rows(levels) == b"".join(rows)


@given(packed=st.binary())
def test_base64_carries_every_byte(packed: bytes) -> None:
    assert base64.b64decode(encode_bytes(packed)) == packed


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
