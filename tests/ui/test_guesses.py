"""Draft with: what is accepted, what it writes, and what it tells the page."""

from __future__ import annotations

import pytest

from gpt2 import SamplingOptions
from gpt2.engine import Event
from gpt2.ui.frames import Frames
from gpt2.ui.guesses import draft_numbers, wire_guesses
from gpt2.ui.requests import checked
from gpt2.ui.runs import Run
from tests.small import small_engine

FIELDS = ("Once", "xl", 0.8, 10, 0, 1.0, 1)
TOKENIZER = small_engine().tokenizer


@pytest.mark.parametrize("off", [None, "", "off"])
def test_drafting_is_off_unless_asked_for(off: str | None) -> None:
    assert checked(*FIELDS, off).draft is None
    assert checked(*FIELDS).draft is None


def test_every_smaller_size_of_the_vocabulary_may_draft() -> None:
    for size in ("distil", "small", "medium", "large"):
        assert checked(*FIELDS, size).draft == size


@pytest.mark.parametrize("wrong", ["xl", "tiny", "gpt3", 7, ["small"]])
def test_another_draft_is_refused_with_those_there_are(wrong: object) -> None:
    with pytest.raises(ValueError, match="off, distil, small, medium, large for xl"):
        checked(*FIELDS, wrong)
    with pytest.raises(ValueError, match="must be off for tiny: no smaller size"):
        checked("Once", "tiny", *FIELDS[2:], wrong)


def event(token: int, guess: int | None, speed_up: float | None = None) -> Event:
    return Event(token, 1, "", {}, 0.1, None, guess=guess, speed_up=speed_up)


def run_of(draft: str) -> Run:
    return Run("small", SamplingOptions(), [65, 66], 2, 2, 3, draft=draft)


def test_right_and_wrong_guesses_reach_the_page_with_their_tokens() -> None:
    run = run_of("Tiny")
    frames = Frames(run, TOKENIZER, "Small", 100, 10)
    first, _ = frames.frame([event(70, None), event(71, 71, 1.2), event(72, 80, 1.1)])
    assert first["guesses"] == [None, None, None, True, TOKENIZER.token_bytes(80).decode()]
    assert first["draft"] == {"title": "Tiny", "right": 1, "wrong": 1, "speed_up": 1.1}
    second, _ = frames.frame([event(73, 73, 0.9)])
    assert second["guesses"] == [True]
    assert second["draft"] == {"title": "Tiny", "right": 2, "wrong": 1, "speed_up": 0.9}
    assert wire_guesses(TOKENIZER, run, 4) == [*first["guesses"][4:], True]


def test_a_text_without_a_draft_says_nothing_of_guesses() -> None:
    run = run_of("")
    frame, _ = Frames(run, TOKENIZER, "Small", 100, 10).frame([event(70, None)])
    assert (frame["guesses"], frame["draft"]) == ([], None)
    assert draft_numbers(run) is None
