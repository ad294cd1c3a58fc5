"""What strangers send can be encoded, counted and kept, or is refused with a sentence."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpt2.serving.incoming import Refused, check_session, checked_body, cleaned, readable

TEXT = st.text(st.characters(exclude_categories=[]), max_size=20)  # halves of pairs too
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=8,
)


@given(JSON)
def test_whatever_comes_in_can_be_encoded(value: Any) -> None:
    body = json.dumps({"data": value}).encode()
    passed_on = checked_body(body).decode()
    again = json.loads(passed_on)
    json.dumps(again, ensure_ascii=False).encode()
    assert "\\u0000" not in passed_on
    assert again == cleaned({"data": value})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("half \ud83e", "half \ufffd"),
        ("\udd8a half", "\ufffd half"),
        ("a\x00b", "a\ufffdb"),
        ("whole 🦊 é\n\t\x07", "whole 🦊 é\n\t\x07"),
    ],
)
def test_only_halves_and_nul_are_replaced(text: str, expected: str) -> None:
    assert readable(text) == expected


def test_a_pair_written_as_two_escapes_stays_whole() -> None:
    assert json.loads(checked_body(rb'{"data": ["\ud83e\udd8a"]}')) == {"data": ["🦊"]}


@pytest.mark.parametrize(
    "body", [b"", b"{", b"\xff\xfe\x00", b'"\xed\xa0\xbd"', b"[" * 100_000, b'"\x00"']
)
def test_what_is_no_json_is_refused(body: bytes) -> None:
    with pytest.raises(Refused, match="no JSON"):
        checked_body(body)


@pytest.mark.parametrize("name", ["", "x" * 65, "x y", "é", "a/b", 7, [], {}, "\ud83e", True])
def test_a_session_hash_is_short_and_plain(name: object) -> None:
    with pytest.raises(Refused, match="session hash has 1 to 64"):
        check_session(name)
    with pytest.raises(Refused, match="session hash has 1 to 64"):
        checked_body(json.dumps({"session_hash": name}).encode())


@pytest.mark.parametrize("name", [None, "k3j9x0q2f1", "7b0f6a52-6f8e-4c57-9c55-0f7c1d2e3f4a"])
def test_gradio_s_own_names_are_taken(name: str | None) -> None:
    check_session(name)
