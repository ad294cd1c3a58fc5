"""A pass that does not end is noticed, and said in /health; one that is only slow is not."""

from __future__ import annotations

import threading

import pytest

from gpt2.runtime import watchdog
from gpt2.runtime.watchdog import LEAST, TIMES, Watchdog, stuck_seconds
from tests.small import small_engine, until


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_pass_that_takes_many_times_the_usual_is_noticed() -> None:
    clock = Clock()
    dog = Watchdog(clock)
    with dog.watching():
        clock.now += 4
    dog.started()
    clock.now += TIMES * 4
    assert dog.stuck() is None
    clock.now += 1
    assert dog.stuck() == stuck_seconds() == TIMES * 4 + 1
    dog.finished()
    assert dog.stuck() is None
    assert stuck_seconds() is None


def test_a_quick_model_may_stand_still_for_a_while() -> None:
    clock = Clock()
    dog = Watchdog(clock)
    with dog.watching():
        clock.now += 0.001
    dog.started()
    clock.now += LEAST
    assert dog.stuck() is None
    clock.now += 0.1
    assert dog.stuck() == pytest.approx(LEAST + 0.1)


def test_a_pass_that_failed_has_ended() -> None:
    dog = Watchdog(Clock())
    with pytest.raises(ValueError, match="no"), dog.watching():
        raise ValueError("no")
    assert dog.stuck() is None


def test_a_watchdog_that_is_gone_says_nothing() -> None:
    clock = Clock()
    dog = Watchdog(clock)
    dog.started()
    clock.now += 99
    assert stuck_seconds() == 99
    del dog
    assert stuck_seconds() is None


def test_the_loop_that_writes_tells_of_its_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watchdog, "LEAST", 0.05)
    monkeypatch.setattr(watchdog, "TIMES", 0)
    goes_on = threading.Event()
    engine = small_engine()
    engine.model.wte.register_forward_pre_hook(lambda *_: goes_on.wait(30) and None)
    thread = threading.Thread(target=lambda: engine.complete("one", new_tokens=1))
    thread.start()
    try:
        assert until(lambda: stuck_seconds() is not None)
    finally:
        goes_on.set()
        thread.join()
    assert stuck_seconds() is None
