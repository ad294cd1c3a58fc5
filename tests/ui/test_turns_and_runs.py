"""The line visitors wait in, and the store that forgets the oldest text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpt2.sampling import GREEDY
from gpt2.ui.runs import Run, RunStore
from gpt2.ui.turns import Turns


def test_first_come_first_served() -> None:
    turns = Turns(2)
    places = [turns.join() for _ in range(5)]
    assert [turns.ahead(place) for place in places] == [0, 0, 1, 2, 3]
    turns.leave(places[0])
    assert [turns.ahead(place) for place in places[1:]] == [0, 0, 1, 2]


def test_leaving_in_the_middle_moves_only_those_behind() -> None:
    turns = Turns(1)
    places = [turns.join() for _ in range(4)]
    turns.leave(places[2])
    assert [turns.ahead(places[n]) for n in (0, 1, 3)] == [0, 1, 2]


@given(limit=st.integers(1, 4), acts=st.lists(st.integers(-6, 6), max_size=40))
def test_no_more_run_than_may_and_nobody_overtakes(limit: int, acts: list[int]) -> None:
    """An act joins, or lets the n-th of those in line leave."""
    turns, line = Turns(limit), []
    for act in acts:
        if act < 0 or not line:
            line.append(turns.join())
        else:
            turns.leave(line.pop(act % len(line)))
        assert [turns.ahead(place) for place in line] == [
            max(0, number - limit + 1) for number in range(len(line))
        ]


def run() -> Run:
    return Run("tiny", GREEDY, [1], 1, layers=2, heads=3)


def test_runs_have_ids_nobody_guesses() -> None:
    assert len({run().id for _ in range(100)}) == 100
    assert len(run().id) == 32


def test_the_least_recently_used_run_is_forgotten() -> None:
    store = RunStore()
    runs = [run() for _ in range(501)]
    for one in runs[:500]:
        store.add(one)
    assert store.get(runs[0].id) is runs[0]
    store.add(runs[500])
    assert store.get(runs[1].id) is None
    assert store.get(runs[0].id) is runs[0]
    assert store.get(runs[500].id) is runs[500]


@pytest.mark.parametrize("key", [None, 3, "", "x" * 1000, [], {}])
def test_a_key_that_is_none_finds_nothing(key: object) -> None:
    assert RunStore().get(key) is None
