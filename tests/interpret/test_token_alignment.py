"""Pieces that are whole tokens for every vocabulary."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpt2 import Tokenizer
from gpt2.interpret.token_alignment import shared_pieces
from tests.examples import examples

TOKENIZERS = [Tokenizer(size) for size in (50257, 8192, 400)]


def lengths(tokenizer: Tokenizer, text: str) -> list[int]:
    return [len(tokenizer.token_bytes(token)) for token in tokenizer.encode(text)]


@given(text=st.text(min_size=1, max_size=60))
@examples(150)
def test_every_token_of_everybody_is_in_one_piece(text: str) -> None:
    pieces = shared_pieces(text, [lengths(tokenizer, text) for tokenizer in TOKENIZERS])
    assert "".join(piece for piece, _ in pieces) == text
    for number, tokenizer in enumerate(TOKENIZERS):
        ids = tokenizer.encode(text)
        assert [token for _, ranges in pieces for token in ranges[number]] == list(range(len(ids)))
        for piece, ranges in pieces:
            assert tokenizer.decode(ids[i] for i in ranges[number]) == piece


def test_one_vocabulary_gives_its_tokens_and_never_half_a_character() -> None:
    text = "The fox 🦊 ran"
    cut = lengths(TOKENIZERS[0], text)
    pieces = [piece for piece, _ in shared_pieces(text, [cut, cut])]
    assert pieces == ["The", " fox", " 🦊", " ran"]
    assert len(cut) > len(pieces)


def test_the_pieces_are_the_shortest_there_are() -> None:
    pieces = shared_pieces("abcdef", [[1, 2, 3], [3, 1, 2]])
    assert pieces == [("abc", [range(2), range(1)]), ("def", [range(2, 3), range(1, 3)])]


def test_tokens_that_are_not_the_text_s_are_refused() -> None:
    with pytest.raises(ValueError, match="tokens of 2 bytes do not cover 3"):
        shared_pieces("abc", [[3], [2]])
