"""Columns that advance together, start when they can and stop at once."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator
from types import SimpleNamespace

import pytest

from gpt2 import Engine
from gpt2.checkpoint import Cancelled
from tests.small import Passes, at_rest, slowly, small_engine, until

from .stage import comparison_of, shown, wanted

pytestmark = pytest.mark.usefixtures("second_model")


def test_columns_take_turns_token_by_token() -> None:
    order: list[str] = []

    def load(name: str) -> Engine:
        engine = small_engine()
        Passes(engine, lambda number: order.append(name))
        return engine

    comparison, _ = comparison_of(load)
    list(comparison.records(wanted(8, "")))
    first, other = order[:2]
    assert first != other
    assert order == [first, other] * 8


def test_stop_ends_all_columns_within_a_token() -> None:
    engine = small_engine()
    passes = Passes(engine, slowly(0.005))
    stop = threading.Event()
    comparison, playground = comparison_of(lambda name: engine)
    frames = comparison.frames(wanted(250), stop)
    seen = [next(frames)]
    while passes.count < 20:
        seen.append(next(frames))
    stop.set()
    before = passes.count
    seen += frames
    assert passes.count <= before + 2
    assert [outputs[-1]["state"] for outputs in shown(seen, playground)] == ["stopped", "stopped"]


def test_a_comparison_may_take_as_long_as_a_run_may(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = small_engine()
    passes = Passes(engine)
    # A clock on which every pass takes a hundredth of a second.
    clock = SimpleNamespace(monotonic=lambda: passes.count / 100)
    monkeypatch.setattr("gpt2.ui.compare.worker.time", clock)
    comparison, playground = comparison_of(lambda name: engine, seconds=1)
    for outputs in shown(list(comparison.frames(wanted(300), threading.Event())), playground):
        assert outputs[-1]["state"] == "stopped"
        assert 0 < outputs[-1]["stats"]["new"] < 200
        assert outputs[-1]["note"].startswith("The time limit for one comparison is reached")


def test_closing_early_ends_the_run_too() -> None:
    engine = small_engine()
    passes = Passes(engine, slowly(0.005))
    frames = comparison_of(lambda name: engine)[0].frames(wanted(250), threading.Event())
    next(frames)
    assert until(lambda: passes.count > 4)
    assert isinstance(frames, Generator)
    frames.close()
    assert until(lambda: at_rest(engine))
    assert passes.count < 250


def test_a_size_to_download_joins_when_it_is_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = small_engine()
    Passes(engine, slowly(0.002))
    arrived = threading.Event()
    comparison, playground = comparison_of(lambda name: engine)
    runner = playground.runner
    monkeypatch.setattr(runner, "is_here", lambda size: size == "tiny")
    monkeypatch.setattr(
        runner, "download", lambda size, emit, stop: size == "tiny" or arrived.wait(10)
    )
    frames = comparison.frames(wanted(150), threading.Event())
    seen = [next(frames)]
    while not any(o.get("stats", {}).get("new") for o in shown(seen, playground)[0]):
        seen.append(next(frames))
    assert all(output["run"] is None for output in shown(seen, playground)[1])
    arrived.set()
    seen += frames
    assert [outputs[-1]["stats"]["new"] for outputs in shown(seen, playground)] == [150, 150]


def test_stop_while_all_is_still_loading(monkeypatch: pytest.MonkeyPatch) -> None:
    comparison, playground = comparison_of(lambda name: small_engine())
    monkeypatch.setattr(playground.runner, "is_here", lambda size: False)

    def download(size: str, emit: object, stop: threading.Event) -> None:
        stop.wait(10)
        raise Cancelled

    monkeypatch.setattr(playground.runner, "download", download)
    stop = threading.Event()
    frames = comparison.frames(wanted(), stop)
    next(frames)
    stop.set()
    began = time.monotonic()
    with pytest.raises(Cancelled):
        list(frames)
    assert time.monotonic() - began < 5


def test_a_full_house_makes_it_wait_in_line() -> None:
    engine = small_engine()
    comparison, playground = comparison_of(lambda name: engine, most=1)
    ended = threading.Event()
    with playground.runner.turn(lambda news: None, ended):
        frames = comparison.frames(wanted(), threading.Event())
        seen = [next(frames)]
        while "Waiting in line" not in str(shown(seen, playground)[0][-1:]):
            seen.append(next(frames))
    seen += frames
    assert [outputs[-1]["stats"]["new"] for outputs in shown(seen, playground)] == [10, 10]
