"""Steps that are told together are those that came one by one."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gpt2.batching import held
from gpt2.batching.held import HeldSteps, Watched
from gpt2.model import SlotCache
from tests.small import CONFIG

SLOT, BEFORE = 1, 40


def cache() -> SlotCache:
    """Two slots full of numbers."""
    slots = SlotCache(CONFIG, slots=2)
    for held_ in (*slots.keys, *slots.values):
        held_.normal_()
    return slots


def passed(number: int, layers: tuple[int, ...] = (0, 1)) -> Watched:
    seen = BEFORE + number + 1
    random = torch.Generator().manual_seed(number)
    rows = {layer: torch.rand(CONFIG.num_heads, 1, seen, generator=random) for layer in layers}
    return Watched(number, rows)


@given(st.integers(1, 20), st.sampled_from([(0, 1), (0,), (1,)]))
@settings(deadline=None)
def test_nothing_is_lost_by_being_held(count: int, layers: tuple[int, ...]) -> None:
    slots = cache()
    steps = HeldSteps(slots, SLOT)
    passes = [passed(number, layers) for number in range(count)]
    for one in passes:
        steps.add(one)
    told = steps.take(BEFORE + count)
    assert [step.token for step in told] == list(range(count))
    for i, (step, one) in enumerate(zip(told, passes, strict=True)):
        assert step.fed == 1
        assert tuple(step.attention) == tuple(step.values) == layers
        for layer in layers:
            assert torch.equal(step.attention[layer], one.attention[layer])
            offered = slots.values[layer][SLOT, :, BEFORE + i, None]
            assert torch.equal(step.values[layer], offered)
    assert steps.take(BEFORE + count) == []


def test_they_are_told_many_times_a_second_and_soon_where_tokens_are_slow(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 100.0
    monkeypatch.setattr(held.time, "monotonic", lambda: now)
    steps = HeldSteps(cache(), SLOT)
    due = []
    for number in range(14):
        due.append(steps.add(passed(number)))
        if due[-1]:
            assert steps.take(BEFORE + number + 1)
        now += 0.006
    assert due == [True, *[False] * 6] * 2
    now += 1
    assert steps.add(passed(0))


def test_no_more_than_a_few_are_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(held.time, "monotonic", lambda: 0.0)
    steps = HeldSteps(cache(), SLOT)
    assert [steps.add(passed(number)) for number in range(16)] == [False] * 15 + [True]


def test_other_layers_are_told_apart() -> None:
    steps = HeldSteps(cache(), SLOT)
    assert steps.fits(passed(0, (1,)))
    steps.add(passed(0, (0, 1)))
    assert steps.fits(passed(1, (0, 1)))
    assert not steps.fits(passed(1, (1,)))
