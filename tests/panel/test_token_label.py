"""How tokens are written: whitespace, control characters, lone bytes, hostile strings."""

from typing import Any

import pytest

from .modules import Modules


def call(modules: Modules, name: str, *arguments: Any) -> Any:
    return modules.evaluate(
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
def test_label(modules: Modules, token: Any, label: str) -> None:
    assert call(modules, "labelOf", token) == label


def test_a_token_that_has_not_arrived_has_a_label(modules: Modules) -> None:
    assert (
        modules.evaluate("async () => (await import('/token_label.js')).labelOf(undefined)") == "…"
    )


def pieces(modules: Modules, tokens: list[Any]) -> tuple[list[tuple[int, int, str, str]], int]:
    found = call(modules, "piecesOf", tokens)
    return [(p["from"], p["to"], p["kind"], p["text"]) for p in found["pieces"]], found["stable"]


def test_fragments_join_into_the_character_they_make(modules: Modules) -> None:
    tokens = ["a", {"hex": "20e2"}, {"hex": "80"}, {"hex": "99"}, "s"]
    expected = [(0, 1, "text", "a"), (1, 4, "text", " \u2019"), (4, 5, "text", "s")]
    assert pieces(modules, tokens) == (expected, 5)


def test_an_unfinished_character_waits_for_its_rest(modules: Modules) -> None:
    assert pieces(modules, ["a", {"hex": "f09f"}]) == (
        [(0, 1, "text", "a"), (1, 2, "fragment", "⟨f0 9f⟩")],
        1,
    )


def test_bytes_that_never_make_a_character_stay_chips(modules: Modules) -> None:
    tokens = [{"hex": "ff"}, {"hex": "e280"}, {"hex": "e280"}, {"hex": "99"}, {"hex": "e2"}, "x"]
    assert pieces(modules, tokens) == (
        [
            (0, 1, "fragment", "⟨ff⟩"),
            (1, 2, "fragment", "⟨e2 80⟩"),
            (2, 4, "text", "\u2019"),
            (4, 5, "fragment", "⟨e2⟩"),
            (5, 6, "text", "x"),
        ],
        6,
    )


def test_a_fragment_says_which_bytes_of_which_character_it_is(modules: Modules) -> None:
    tokens = ["a", {"hex": "e280"}, {"hex": "99"}, {"hex": "ff"}]
    assert call(modules, "nameOf", tokens, 0) == "“a” (0)"
    assert call(modules, "nameOf", tokens, 1) == "“⟨e2 80⟩” (1, bytes 1\u20132 of 3 of \u2019)"
    assert call(modules, "nameOf", tokens, 2) == "“⟨99⟩” (2, byte 3 of 3 of \u2019)"
    assert call(modules, "nameOf", tokens, 3) == "“⟨ff⟩” (3)"


def test_plain_text_is_what_the_tokens_spell(modules: Modules) -> None:
    start, quote = {"special": "<|endoftext|>"}, [{"hex": "e280"}, {"hex": "99"}]
    tokens = [start, "It", *quote, "s\n", {"hex": "ff"}]
    assert call(modules, "plainText", tokens) == "It\u2019s\n\ufffd"


def test_long_labels_are_cut_between_characters(modules: Modules) -> None:
    assert call(modules, "shorten", "🦊🦊🦊🦊", 3) == "🦊🦊…"
    assert call(modules, "shorten", "abc", 3) == "abc"
