"""GPT-2's tokens: the right ones, and every text comes back whole."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import ByteLevelBPETokenizer

from gpt2.tokenizer import END_OF_TEXT, VOCABULARY_FILE, TextStream, Tokenizer
from tests.examples import examples

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "token_ids.json").read_text("utf-8"))
TOKENIZERS = {size: Tokenizer(size) for size in (50257, 8192, 257)}
GPT2 = TOKENIZERS[50257]

every_size = pytest.mark.parametrize("tokenizer", TOKENIZERS.values(), ids=map(str, TOKENIZERS))
many = examples(200)
# Any text but lone surrogates, which UTF-8 cannot hold; words and spaces as often as anything else.
texts = st.text(st.one_of(st.characters(codec="utf-8"), st.sampled_from(" \n'tseable1,")))


def stream(tokenizer: Tokenizer, ids: list[int]) -> list[str]:
    """What a page would be shown, piece by piece, the flush last."""
    text = TextStream(tokenizer)
    return [*(text.feed(token) for token in ids), text.flush()]


def test_the_merges_are_gpt2_s_own_file() -> None:
    found = hashlib.sha256(VOCABULARY_FILE.read_bytes()).hexdigest()
    assert found == GOLDEN["vocab.bpe sha256"]


def test_every_token_has_openai_s_bytes() -> None:
    """Written as tiktoken writes a vocabulary, ours is its file to the last byte."""
    lines = [b"%s %d\n" % (base64.b64encode(GPT2.token_bytes(i)), i) for i in range(50256)]
    found = hashlib.sha256(b"".join(lines)).hexdigest()
    assert found == GOLDEN["r50k_base.tiktoken sha256"]


@pytest.mark.parametrize("entry", GOLDEN["texts"], ids=lambda entry: entry["text"][:20])
def test_recorded_texts_have_their_recorded_ids(entry: dict) -> None:
    assert GPT2.encode(entry["text"]) == entry["ids"]
    assert GPT2.decode(entry["ids"]) == entry["text"]


@every_size
@given(text=texts)
@many
def test_decoding_undoes_encoding(tokenizer: Tokenizer, text: str) -> None:
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids) == text
    assert "".join(stream(tokenizer, ids)) == text
    assert all(0 <= token < tokenizer.end_of_text for token in ids)


@pytest.mark.parametrize("size", [50257, 8192])
def test_ids_are_those_of_the_tokenizers_library(size: int) -> None:
    ours = TOKENIZERS[size]
    lines = VOCABULARY_FILE.read_text("utf-8").split("\n")[1 : size - 256]
    merges = [tuple(line.split()) for line in lines]
    visible = [b for b in range(256) if chr(b).isprintable() and b != 32]
    hidden = [b for b in range(256) if b not in visible]
    letters = [chr(b) for b in visible] + [chr(256 + n) for n in range(len(hidden))]
    words = [*letters, *(left + right for left, right in merges)]
    theirs = ByteLevelBPETokenizer({word: n for n, word in enumerate(words)}, merges)

    @given(text=texts)
    @many
    def same(text: str) -> None:
        assert ours.encode(text) == theirs.encode(text).ids

    same()


@every_size
@given(data=st.data())
@many
def test_streamed_is_whole_for_any_ids(tokenizer: Tokenizer, data: st.DataObject) -> None:
    """Also for ids that no text has: bytes that make no character show as U+FFFD either way."""
    ids = data.draw(st.lists(st.integers(0, tokenizer.vocab_size - 1)))
    assert "".join(stream(tokenizer, ids)) == tokenizer.decode(ids)


@given(data=st.binary(max_size=12))
@many
def test_streamed_is_whole_for_any_bytes(data: bytes) -> None:
    tokenizer = TOKENIZERS[257]
    id_of = {tokenizer.token_bytes(token): token for token in range(256)}
    ids = [id_of[bytes([b])] for b in data]
    assert "".join(stream(tokenizer, ids)) == data.decode("utf-8", "replace")


@every_size
@pytest.mark.parametrize("text", ["🤗", "日本語", "e\u0301", "👩‍👩‍👧", "नमस्ते", "🇫🇷 naïve"])
def test_a_character_is_never_shown_half(tokenizer: Tokenizer, text: str) -> None:
    shown = ""
    for piece in stream(tokenizer, tokenizer.encode(text)):
        assert "\ufffd" not in piece
        shown += piece
        assert text.startswith(shown)
    assert shown == text


def test_a_character_without_its_end_shows_when_the_text_ends() -> None:
    ids = TOKENIZERS[257].encode("🤗")[:3]
    assert stream(TOKENIZERS[257], ids) == ["", "", "", "\ufffd"]


@every_size
def test_a_typed_end_of_text_is_ordinary_text(tokenizer: Tokenizer) -> None:
    ids = tokenizer.encode(f"a{END_OF_TEXT}b")
    assert tokenizer.end_of_text not in ids
    assert tokenizer.decode(ids) == f"a{END_OF_TEXT}b"
    assert tokenizer.decode([tokenizer.end_of_text]) == END_OF_TEXT


@every_size
def test_no_text_is_no_ids(tokenizer: Tokenizer) -> None:
    assert tokenizer.encode("") == []
    assert tokenizer.decode([]) == ""


def test_half_a_surrogate_pair_is_read_as_an_unknown_character() -> None:
    assert GPT2.decode(GPT2.encode("a\ud83eb")) == "a\ufffdb"


def test_a_smaller_vocabulary_is_the_same_list_cut_short() -> None:
    for size, tokenizer in TOKENIZERS.items():
        assert tokenizer.end_of_text == size - 1
        for token in range(size - 1):
            assert tokenizer.token_bytes(token) == GPT2.token_bytes(token)


@every_size
def test_an_unknown_id_quotes_both_numbers(tokenizer: Tokenizer) -> None:
    size = tokenizer.vocab_size
    for token in (size, -1):
        message = f"token id {token} is not in a vocabulary of {size}"
        with pytest.raises(ValueError, match=message):
            tokenizer.decode([0, token])
        with pytest.raises(ValueError, match=message):
            TextStream(tokenizer).feed(token)


@pytest.mark.parametrize("size", [256, 0, 50258])
def test_an_impossible_vocabulary_quotes_the_limits(size: int) -> None:
    with pytest.raises(ValueError, match=f"from 257 to 50257, not {size}"):
        Tokenizer(size)


@pytest.mark.timeout(20)
@pytest.mark.parametrize("piece", ["a", "^", " ", "é", "ab1 ", "\n"])
def test_long_runs_of_anything_are_read_in_good_time(piece: str) -> None:
    text = piece * 100_000
    assert GPT2.decode(GPT2.encode(text)) == text
