"""Measurements that take a while: begun once, told of, ended when nobody asks."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from gpt2 import Engine
from gpt2.residency import Residency
from gpt2.ui.session import measurements
from gpt2.ui.session.limits import Limits
from gpt2.ui.session.measurements import Measurements, measured
from gpt2.ui.session.runner import Runner
from tests.small import small_engine, until

ENGINE = small_engine()


def runner(limits: Limits | None = None) -> Runner:
    return Runner(Residency(10**9, lambda *_: ENGINE), 2, limits)


class Slow:
    """A measurement that goes on until it is let go, or told to stop."""

    def __init__(self) -> None:
        self.begun = 0
        self.go = threading.Event()
        self.stopped = threading.Event()

    def __call__(
        self, engine: Engine, stopped: Callable[[], bool], progress: Callable[[int, int], None]
    ) -> dict[str, Any]:
        self.begun += 1
        progress(1, 3)
        while not self.go.wait(0.01):
            if stopped():
                self.stopped.set()
                return {"partly": True}
        return {"found": self.begun}


def test_it_is_begun_once_and_told_of_until_it_is_done() -> None:
    asked, slow = Measurements(runner()), Slow()
    assert until(lambda: asked.answer("a", "tiny", slow) == {"done": 1, "of": 3})
    slow.go.set()
    assert until(lambda: asked.answer("a", "tiny", slow) == {"result": {"found": 1}})
    assert asked.answer("a", "tiny", slow) == {"result": {"found": 1}}
    assert slow.begun == 1


def test_what_nobody_asks_about_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measurements, "_PATIENCE", 0.01)
    asked, slow = Measurements(runner()), Slow()
    asked.answer("a", "tiny", slow)
    assert slow.stopped.wait(10)
    slow.go.set()
    monkeypatch.setattr(measurements, "_PATIENCE", 60)
    assert until(lambda: asked.answer("a", "tiny", slow) == {"result": {"found": 2}})  # begun anew


def test_it_can_be_cancelled() -> None:
    asked, slow = Measurements(runner()), Slow()
    assert until(lambda: asked.answer("a", "tiny", slow)["done"] == 1)
    assert asked.answer("a", "tiny", slow, cancel=True) == {}
    assert slow.stopped.wait(10)
    assert asked.answer("b", "tiny", slow, cancel=True) == {}  # of what was never begun


def test_only_some_go_on_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measurements, "_MOST_AT_ONCE", 1)
    asked, first, second = Measurements(runner()), Slow(), Slow()
    assert until(lambda: asked.answer("a", "tiny", first)["done"] == 1)
    assert asked.answer("b", "tiny", second) == {"done": 0, "of": 0}
    assert second.begun == 0
    for each in (first, second):
        each.go.set()
    assert until(lambda: "result" in asked.answer("a", "tiny", first))
    assert until(lambda: "result" in asked.answer("b", "tiny", second))


def test_what_it_raises_is_told_once_and_the_next_question_tries_again() -> None:
    asked = Measurements(runner())
    tries = []

    def fail(*_: object) -> dict[str, Any]:
        tries.append(1)
        raise ValueError("no such token")

    for count in (1, 2):
        asked.answer("a", "tiny", fail)
        assert until(lambda: asked._jobs["a"].ended)
        with pytest.raises(ValueError, match="no such token"):
            asked.answer("a", "tiny", fail)
        assert len(tries) == count


def test_no_more_results_are_kept_than_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measurements, "_MOST_KEPT", 2)
    asked = Measurements(runner())
    for key in "abcd":
        assert until(lambda key=key: "result" in asked.answer(key, "tiny", lambda *_: {"key": key}))
    assert list(asked._jobs) == ["c", "d"]


def test_a_script_that_leaves_ends_it() -> None:
    slow = Slow()
    records = measured(runner(), "tiny", slow)
    assert until(lambda: next(records)["of"] == 3)
    records.close()
    assert slow.stopped.wait(10)


def test_it_has_the_time_of_a_run() -> None:
    slow = Slow()
    *_, last = measured(runner(Limits(seconds=0)), "tiny", slow)
    assert last["result"] == {"partly": True}
