"""The line visitors wait in."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpt2.residency import Residency
from gpt2.ui.session.admission_queue import AdmissionQueue, QueueFull, in_words, pages_at
from gpt2.ui.session.limits import Limits
from gpt2.ui.session.runner import Runner


def test_first_come_first_served() -> None:
    turns = AdmissionQueue(Limits(running=2, waiting=100))
    places = [turns.join() for _ in range(5)]
    assert [turns.ahead(ticket) for ticket in places] == [0, 0, 1, 2, 3]
    turns.leave(places[0])
    assert [turns.ahead(ticket) for ticket in places[1:]] == [0, 0, 1, 2]


def test_memory_is_given_back_when_the_last_one_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    times: list[bool] = []
    monkeypatch.setattr("gpt2.ui.session.runner.trim", lambda: times.append(True))
    runner, stop = Runner(Residency(0), 2), threading.Event()
    with runner.turn(print, stop):
        with runner.turn(print, stop):
            pass
        assert not times
    assert times == [True]


def test_leaving_in_the_middle_moves_only_those_behind() -> None:
    turns = AdmissionQueue(Limits(running=1, waiting=100))
    places = [turns.join() for _ in range(4)]
    turns.leave(places[2])
    assert [turns.ahead(places[n]) for n in (0, 1, 3)] == [0, 1, 2]


@given(limit=st.integers(1, 4), acts=st.lists(st.integers(-6, 6), max_size=40))
def test_no_more_run_than_may_and_nobody_overtakes(limit: int, acts: list[int]) -> None:
    """An act joins, or lets the n-th of those in line leave."""
    turns, line = AdmissionQueue(Limits(running=limit, waiting=100)), []
    for act in acts:
        if act < 0 or not line:
            line.append(turns.join())
        else:
            turns.leave(line.pop(act % len(line)))
        assert [turns.ahead(ticket) for ticket in line] == [
            max(0, number - limit + 1) for number in range(len(line))
        ]


def test_a_full_house_says_how_full_and_takes_nobody() -> None:
    line = AdmissionQueue(Limits(running=2, waiting=1))
    places = [line.join() for _ in range(3)]
    with pytest.raises(
        QueueFull, match=r"2 texts are being written and 1 visitors wait.* in a while"
    ):
        line.join()
    line.leave(places[0])
    assert line.ahead(line.join()) == 1


def test_one_visitor_cannot_fill_the_house() -> None:
    line = AdmissionQueue(Limits(per_visitor=2))
    mine = [line.join("me") for _ in range(2)]
    with pytest.raises(QueueFull, match=r"You have 2 texts .* as many as one visitor may"):
        line.join("me")
    line.join("you")
    for _ in range(5):
        line.join()  # those who cannot be told apart
    line.leave(mine[0])
    line.join("me")


def test_the_pages_of_one_address_leave_places_for_others() -> None:
    line = AdmissionQueue(Limits(running=2, waiting=6, per_visitor=1))
    school = [line.join(pages_at("10.0.0.1")) for _ in range(6)]
    with pytest.raises(QueueFull, match="Pages at your address have 6 texts"):
        line.join(pages_at("10.0.0.1"))
    line.join(pages_at("10.0.0.2"))
    line.join("10.0.0.1")  # a script there has its own limit
    line.leave(school[0])
    assert pages_at("") == ""
    line.join(pages_at("10.0.0.1"))


def test_the_wait_is_what_those_before_may_still_write(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("gpt2.ui.session.admission_queue.time.monotonic", lambda: now)
    line = AdmissionQueue(Limits(running=2))
    first, second, third, fourth = (line.join(tokens=n) for n in (100, 40, 30, 50))
    assert line.seconds(third) is None  # no run has shown its speed
    first.start()
    second.start()
    now = 110.0
    first.written = second.written = 20  # two a second each
    assert line.seconds(third) == pytest.approx(10)  # the second one has 20 left
    assert line.seconds(fourth) == pytest.approx(10 + 15)  # then the third one's 30
    line.leave(first)
    line.leave(second)
    last = line.join(tokens=5)
    assert line.seconds(last) == pytest.approx(15)  # nobody writes: the speed of those before


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.2, "about 5 seconds"), (32, "about 30 seconds"), (150, "about 2 minutes")],
)
def test_a_wait_in_words(seconds: float, words: str) -> None:
    assert in_words(seconds) == words


def test_limits_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Limits.from_environment() == Limits()
    monkeypatch.setenv("GPT2_RUNNING", "3")
    monkeypatch.setenv("GPT2_WAITING", "0")
    assert Limits.from_environment() == Limits(running=3, waiting=0)
    for wrong in ("0", "-1", "many", "2.5", "9"):
        monkeypatch.setenv("GPT2_RUNNING", wrong)
        with pytest.raises(ValueError, match="GPT2_RUNNING must be a whole number from 1 to 8"):
            Limits.from_environment()
