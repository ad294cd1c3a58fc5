"""Texts side by side: fair turns, own clocks, and an error that stays where it is."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from gpt2 import SamplingOptions
from gpt2.engine import Event
from gpt2.round_robin import RoundRobin
from tests.small import small_engine

PROMPT = "It was late"
WARM = SamplingOptions(seed=3)


def run(together: RoundRobin[str]) -> list[tuple[str, Event | Exception]]:
    found = []
    while together.running:
        found += together.round()
    return found


def test_each_text_is_what_it_is_alone_and_turns_alternate() -> None:
    engine = small_engine()
    together: RoundRobin[str] = RoundRobin()
    for name, count in (("a", 12), ("b", 7)):
        together.join(name, engine.stream(PROMPT, WARM, count))
    found = run(together)
    texts = {name: "".join(e.text for n, e in found if n == name) for name in "ab"}
    assert texts == {"a": engine.complete(PROMPT, WARM, 12), "b": engine.complete(PROMPT, WARM, 7)}
    assert "".join(name for name, _ in found) == "ab" * 8 + "a" * 5


class Clock:
    """It stands still unless a text takes its time."""

    def __init__(self) -> None:
        self.now = 0.0

    def text(self, tokens: int, seconds: float = 0.0) -> Iterator[Event]:
        """A token takes so many seconds."""
        for token in text(tokens):
            self.now += seconds if token.token is not None else 0.0
            yield token


def text(tokens: int) -> Iterator[Event]:
    for token in range(tokens):
        yield Event(token, 1, "x", {}, 0.0, None)
    yield Event(None, 0, "", {}, 0.0, None, "tokens")


def test_a_slow_neighbour_does_not_slow_a_text_s_own_clock(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = Clock()
    monkeypatch.setattr("gpt2.round_robin.time", SimpleNamespace(perf_counter=lambda: clock.now))
    together: RoundRobin[str] = RoundRobin()
    together.join("slow", clock.text(6, seconds=0.03))
    together.join("fast", clock.text(6, seconds=0.002))
    last = dict(run(together))
    assert isinstance(last["slow"], Event)
    assert isinstance(last["fast"], Event)
    assert last["slow"].tokens_per_second == pytest.approx(1 / 0.03)
    assert last["slow"].seconds == pytest.approx(6 * 0.03)
    assert last["fast"].tokens_per_second == pytest.approx(1 / 0.002)
    assert last["fast"].seconds == pytest.approx(6 * 0.002)


def test_an_error_ends_its_own_text_alone() -> None:
    def broken() -> Iterator[Event]:
        yield Event(1, 1, "x", {}, 0.0, None)
        raise RuntimeError("no")

    together: RoundRobin[str] = RoundRobin()
    together.join("broken", broken())
    together.join("whole", text(4))
    found = run(together)
    errors = [(name, str(event)) for name, event in found if isinstance(event, Exception)]
    assert errors == [("broken", "no")]
    assert len([name for name, _ in found if name == "whole"]) == 5


def test_one_may_join_while_others_run() -> None:
    together: RoundRobin[str] = RoundRobin()
    together.join("first", text(5))
    list(together.round())
    together.join("second", text(2))
    assert [name for name, _ in run(together)][:4] == ["first", "second"] * 2
