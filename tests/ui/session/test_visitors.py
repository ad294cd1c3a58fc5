"""What is kept for an open page is found by nobody else, and only so many are kept."""

from __future__ import annotations

import gradio as gr

from gpt2.ui.session.limits import MOST_VISITORS
from gpt2.ui.session.visitors import Visitors


def of(name: str | None) -> gr.Request:
    return gr.Request(session_hash=name)


def test_a_page_finds_its_own_again() -> None:
    visitors: Visitors[list[int]] = Visitors(list, lambda kept: None)
    visitors.of(of("one")).append(1)
    assert visitors.of(of("one")) == [1]
    assert visitors.of(of("two")) == []


def test_who_does_not_say_who_he_is_shares_with_nobody() -> None:
    visitors: Visitors[list[int]] = Visitors(list, lambda kept: None)
    for name in (None, ""):
        visitors.of(of(name)).append(1)
        assert visitors.of(of(name)) == []


def test_the_page_that_was_silent_longest_is_forgotten() -> None:
    forgotten: list[list[str]] = []
    visitors: Visitors[list[str]] = Visitors(list, forgotten.append)
    for number in range(MOST_VISITORS):
        visitors.of(of(f"{number}")).append(f"{number}")
    visitors.of(of("0"))
    visitors.of(of("new"))
    assert forgotten == [["1"]]
    assert visitors.of(of("0")) == ["0"]
