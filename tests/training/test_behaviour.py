"""The measures of behaviour, on texts whose answer one can count."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpt2.training.behaviour import distinct_2, loop_start, repeated_4grams


def test_rates_are_what_one_counts() -> None:
    assert repeated_4grams([1, 2, 3, 4, 1, 2, 3, 4]) == pytest.approx(1 / 5)
    assert distinct_2([1, 2, 1, 2, 1]) == pytest.approx(2 / 4)
    assert repeated_4grams([7, 7, 7]) == 0
    assert distinct_2([7]) == 1


@given(st.lists(st.integers(0, 3), max_size=60))
def test_rates_are_shares(ids: list[int]) -> None:
    assert 0 <= repeated_4grams(ids) < 1
    assert 0 < distinct_2(ids) <= 1


@given(
    before=st.lists(st.integers(100, 8000), unique=True, max_size=30),
    period=st.integers(1, 40),
    after=st.lists(st.integers(9000, 9999), unique=True, max_size=30),
)
def test_a_loop_is_found_where_it_begins_and_at_no_shorter_length(
    before: list[int], period: int, after: list[int]
) -> None:
    said = list(range(period))
    needed = max(12, 3 * period)
    looped = (said * needed)[:needed]
    assert loop_start([*before, *looped, *after]) == len(before)
    assert loop_start([*before, *looped[:-1], *after]) is None


def test_of_two_loops_the_first_counts() -> None:
    assert loop_start([9, *[1, 2, 3] * 4, 5, *[6] * 12]) == 1
