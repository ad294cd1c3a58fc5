"""The length of a draft follows what rounds cost and how often the draft is right."""

from __future__ import annotations

import random
from itertools import product

import pytest

from gpt2.inference.draft_length import MOST_DRAFTED, DraftLength, Round, expected_tokens

ALONE = 0.030  # seconds of a pass over one token


def simulated(
    rate: float,
    per_draft: float,
    per_row: float,
    rounds: int = 300,
    length: DraftLength | None = None,
) -> tuple[DraftLength, list[int]]:
    """A run on a machine that always takes the same times; `rate` is the acceptance."""
    luck = random.Random(1)
    length = length or DraftLength()
    lengths = []
    for _ in range(rounds):
        drafted = length.next(100)
        accepted = 0
        while accepted < drafted and luck.random() < rate:
            accepted += 1
        guessing = drafted * per_draft * ALONE
        checking = ALONE * (1 + drafted * per_row)
        judged = min(drafted, accepted + 1)
        length.note(Round(drafted, judged, accepted, guessing, checking, guessing + checking))
        lengths.append(drafted)
    return length, lengths


def ceiling(rate: float, per_draft: float, per_row: float) -> float:
    """The best speed-up any fixed length would reach."""
    return max(
        expected_tokens(rate, k) / (1 + k * (per_draft + per_row)) for k in range(MOST_DRAFTED + 1)
    )


@pytest.mark.parametrize(
    ("rate", "per_draft"), list(product([0.6, 0.7, 0.8, 0.9], [0.05, 0.1, 0.2]))
)
def test_it_comes_near_the_best_length(rate: float, per_draft: float) -> None:
    length, _ = simulated(rate, per_draft, per_row=0.04)
    assert length.speed_up is not None
    assert length.speed_up > 0.9 * ceiling(rate, per_draft, 0.04)


@pytest.mark.parametrize(("rate", "per_draft"), [(0.05, 0.1), (0.5, 0.6), (0.0, 0.01), (0.8, 1.0)])
def test_drafting_that_does_not_pay_is_switched_off(rate: float, per_draft: float) -> None:
    length, lengths = simulated(rate, per_draft, per_row=0.04, rounds=600)
    assert lengths[-300:].count(0) >= 280
    assert length.speed_up is not None
    assert length.speed_up > 0.93


def test_it_is_tried_again_when_it_was_off() -> None:
    length, lengths = simulated(0.0, 0.1, 0.04, rounds=100)
    assert lengths[-5:] == [0] * 5
    _, lengths = simulated(0.9, 0.1, 0.04, rounds=300, length=length)
    assert sorted(lengths[-50:])[25] >= 3


def test_better_drafts_are_longer() -> None:
    usual = [sorted(simulated(rate, 0.1, 0.04)[1])[150] for rate in (0.5, 0.7, 0.9)]
    assert usual[0] < usual[1] < usual[2]


def test_it_begins_without_a_draft_and_never_exceeds_the_room() -> None:
    length = DraftLength()
    assert length.speed_up is None
    assert [length.next(9) for _ in range(3)] == [0, 0, 0]
    for room in (0, 1, 2, 5):
        fresh, _ = simulated(0.95, 0.01, 0.01, rounds=60)
        assert 0 <= fresh.next(room) <= room


def test_a_slow_down_is_said() -> None:
    length, _ = simulated(0.1, 0.9, 0.3, rounds=12)
    assert length.speed_up is not None
    assert length.speed_up < 0.9
