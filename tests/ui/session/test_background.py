"""Work in a thread of its own, and what its reader sees."""

from __future__ import annotations

import threading

import pytest

from gpt2.ui.session.background import Background


def test_every_item_comes_once_and_in_order() -> None:
    def work(emit) -> None:
        for number in range(200):
            emit(number)

    batches = list(Background(work, patience=5).start().batches())
    assert [item for batch in batches for item in batch] == list(range(200))
    assert all(batches)


def test_what_piles_up_comes_at_once() -> None:
    piled = threading.Event()

    def work(emit) -> None:
        emit(1)
        emit(2)
        piled.set()

    background = Background(work, patience=5).start()
    assert piled.wait(5)
    assert list(background.batches()) == [[1, 2]]


def test_its_end_is_told_whoever_still_listens() -> None:
    ended = threading.Event()
    Background(lambda emit: emit(1), patience=5, ended=ended.set).start()
    assert ended.wait(5)


def test_a_reader_of_slow_work_is_told_that_nothing_came() -> None:
    gate = threading.Event()

    def work(emit) -> None:
        gate.wait(5)
        emit("late")

    batches = Background(work, patience=0.01).start().batches()
    assert [next(batches), next(batches)] == [[], []]
    gate.set()
    assert [batch for batch in batches if batch] == [["late"]]


def test_an_error_comes_after_the_items_before_it() -> None:
    def work(emit) -> None:
        emit(1)
        raise KeyError("broken")

    batches = Background(work, patience=5).start().batches()
    assert next(batches) == [1]
    with pytest.raises(KeyError, match="broken"):
        next(batches)


def test_work_that_says_nothing_ends() -> None:
    assert list(Background(lambda emit: None, patience=5).start().batches()) == []


def test_the_work_runs_in_one_thread_that_is_not_the_reader_s() -> None:
    threads: set[int] = set()

    def work(emit) -> None:
        for number in range(3):
            threads.add(threading.get_ident())
            emit(number)

    list(Background(work, patience=5).start().batches())
    assert len(threads) == 1
    assert threading.get_ident() not in threads


def test_a_reader_that_leaves_early_does_not_hang() -> None:
    left, ended = threading.Event(), threading.Event()

    def work(emit) -> None:
        emit(0)
        assert left.wait(10)
        for number in range(1, 50):
            emit(number)
        ended.set()

    batches = Background(work, patience=5).start().batches()
    next(batches)
    batches.close()
    left.set()
    assert ended.wait(10)
