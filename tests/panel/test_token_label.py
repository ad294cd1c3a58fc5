"""How tokens are written: whitespace, control characters, lone bytes, hostile strings."""

from typing import Any

import pytest
from playwright.sync_api import Page

pytestmark = pytest.mark.browser


def call(panel: Page, name: str, *arguments: Any) -> Any:
    return panel.evaluate(
        """async ([name, args]) => (await import("/token_label.js"))[name](...args)""",
        [name, list(arguments)],
    )


@pytest.mark.parametrize(
    ("token", "label"),
    [
        (" fox", "·fox"),
        ("\n\n", "↵↵"),
        ("\t", "⇥"),
        ("\r\n", "\\r↵"),
        ("\x00\x1b", "\\x00\\x1b"),
        ("\x7f\x85\xa0", "\\x7f\\x85\\xa0"),
        ("a\u202eb", "a\\u202eb"),
        ("\u200b\ufeff", "\\u200b\\ufeff"),
        (" שלום", "·שלום"),
        ("🦊", "🦊"),
        ({"hex": "e280"}, "⟨e2 80⟩"),
        ({"special": "<|endoftext|>"}, "<|endoftext|>"),
        ("<img onerror=x>", "<img·onerror=x>"),
        ("${x}{{y}}`", "${x}{{y}}`"),
    ],
)
def test_label(panel: Page, token: Any, label: str) -> None:
    assert call(panel, "labelOf", token) == label


def test_a_token_that_has_not_arrived_has_a_label(panel: Page) -> None:
    assert panel.evaluate("async () => (await import('/token_label.js')).labelOf(undefined)") == "…"


def pieces(panel: Page, tokens: list[Any]) -> tuple[list[tuple[int, int, str, str]], int]:
    found = call(panel, "piecesOf", tokens)
    return [(p["from"], p["to"], p["kind"], p["text"]) for p in found["pieces"]], found["stable"]


def test_fragments_join_into_the_character_they_make(panel: Page) -> None:
    tokens = ["a", {"hex": "20e2"}, {"hex": "80"}, {"hex": "99"}, "s"]
    expected = [(0, 1, "text", "a"), (1, 4, "text", " \u2019"), (4, 5, "text", "s")]
    assert pieces(panel, tokens) == (expected, 5)


def test_an_unfinished_character_waits_for_its_rest(panel: Page) -> None:
    assert pieces(panel, ["a", {"hex": "f09f"}]) == (
        [(0, 1, "text", "a"), (1, 2, "fragment", "⟨f0 9f⟩")],
        1,
    )


def test_bytes_that_never_make_a_character_stay_chips(panel: Page) -> None:
    tokens = [{"hex": "ff"}, {"hex": "e280"}, {"hex": "e280"}, {"hex": "99"}, {"hex": "e2"}, "x"]
    assert pieces(panel, tokens) == (
        [
            (0, 1, "fragment", "⟨ff⟩"),
            (1, 2, "fragment", "⟨e2 80⟩"),
            (2, 4, "text", "\u2019"),
            (4, 5, "fragment", "⟨e2⟩"),
            (5, 6, "text", "x"),
        ],
        6,
    )


def test_a_fragment_says_which_bytes_of_which_character_it_is(panel: Page) -> None:
    tokens = ["a", {"hex": "e280"}, {"hex": "99"}, {"hex": "ff"}]
    assert call(panel, "nameOf", tokens, 0) == "“a” (0)"
    assert call(panel, "nameOf", tokens, 1) == "“⟨e2 80⟩” (1, bytes 1\u20132 of 3 of \u2019)"
    assert call(panel, "nameOf", tokens, 2) == "“⟨99⟩” (2, byte 3 of 3 of \u2019)"
    assert call(panel, "nameOf", tokens, 3) == "“⟨ff⟩” (3)"


def test_plain_text_is_what_the_tokens_spell(panel: Page) -> None:
    start, quote = {"special": "<|endoftext|>"}, [{"hex": "e280"}, {"hex": "99"}]
    tokens = [start, "It", *quote, "s\n", {"hex": "ff"}]
    assert call(panel, "plainText", tokens) == "It\u2019s\n\ufffd"


def test_long_labels_are_cut_between_characters(panel: Page) -> None:
    assert call(panel, "shorten", "🦊🦊🦊🦊", 3) == "🦊🦊…"
    assert call(panel, "shorten", "abc", 3) == "abc"
