"""What a visitor asks for ends when he says Stop, or when he asks for something newer."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest

from gpt2.checkpoint import Cancelled
from gpt2.residency import Residency
from gpt2.ui.compare.comparison import Comparison
from gpt2.ui.compare.handlers import CompareHandlers
from gpt2.ui.compare.surprise import Scoring
from gpt2.ui.session.playground import Playground
from gpt2.ui.session.runner import Runner
from tests.small import small_engine

TEXT = "Once upon a time"
NAMES = ["tiny", "second"]
SOMEBODY: Any = SimpleNamespace(session_hash="somebody")
PASTED: Any = SimpleNamespace(text=TEXT, sizes=NAMES)


@pytest.fixture
def runner(second_model: None) -> Runner:
    return Runner(Residency(10**9, lambda name, _: small_engine()), 2)


@pytest.fixture
def handlers(runner: Runner) -> CompareHandlers:
    return CompareHandlers(Comparison(Playground(runner)), Scoring(runner), runner.residency)


def endless(size: str, emit: object, stop: threading.Event) -> None:
    assert stop.wait(30)
    raise Cancelled


def test_stop_ends_a_score_that_waits_for_a_download(
    handlers: CompareHandlers, runner: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "download", endless)
    score = handlers.score(TEXT, NAMES, SOMEBODY, PASTED)
    assert next(score) == {"note": "Scoring."}
    handlers.stop(SOMEBODY)
    assert list(score)[-1] == {"note": "Stopped."}


def test_what_is_newer_ends_what_is_older_in_silence(
    handlers: CompareHandlers, runner: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(runner, "download", endless)
        older = handlers.expect(1.0, 0, 1.0, SOMEBODY, PASTED)
        assert next(older) == {"next_note": "Asking every size."}
    newer = list(handlers.expect(1.0, 0, 1.0, SOMEBODY, PASTED))
    assert [found["size"] for found in newer[-1]["next"]] == NAMES
    assert list(older)[-1] == gr.skip()


def test_another_visitor_is_not_stopped(handlers: CompareHandlers) -> None:
    handlers.stop(SimpleNamespace(session_hash="another"))  # type: ignore[arg-type]  # a stand-in
    assert "rows" in list(handlers.score(TEXT, NAMES, SOMEBODY, PASTED))[-1]


@pytest.mark.parametrize("stopped, end", [(False, "compared"), (True, "stopped")])
def test_the_line_at_the_top_says_how_a_comparison_ended(
    handlers: CompareHandlers, stopped: bool, end: str
) -> None:
    badges = []
    for *_, badge in handlers.compare(TEXT, NAMES, 0.0, 4, 0, 1.0, "1", True, SOMEBODY):
        badges.append(badge)
        if stopped:
            handlers.stop(SOMEBODY)
    assert badges[0].endswith("· comparing")
    assert badges[-1].endswith(f"· {end}")
