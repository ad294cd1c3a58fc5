"""Rows of repeated random tokens, and the targets that nothing could have predicted."""

from __future__ import annotations

import torch

from gpt2.training.repeats import NOT_SCORED, with_repeats

BATCH = torch.arange(64 * 101).view(64, 101)


def test_without_a_share_inputs_and_targets_are_the_batch() -> None:
    inputs, targets = with_repeats(BATCH, 0.0, 300, seed=1, number=0)
    assert torch.equal(inputs, BATCH[:, :-1])
    assert torch.equal(targets, BATCH[:, 1:])


def test_every_scored_target_of_a_replaced_row_was_said_before() -> None:
    inputs, targets = with_repeats(BATCH, 1.0, 300, seed=1, number=0)
    periods = set()
    for said, wanted in zip(inputs.tolist(), targets.tolist(), strict=True):
        period = wanted.count(NOT_SCORED) + 1
        periods.add(period)
        assert wanted[: period - 1] == [NOT_SCORED] * (period - 1)
        assert wanted[period - 1 :] == said[: len(wanted) - period + 1]
        assert said[period:] == said[:-period]
        assert max(said) < 300
    assert min(periods) >= 16
    assert max(periods) < 51
    assert len(periods) > 20


def test_about_the_share_is_replaced_and_the_rest_is_left() -> None:
    inputs, _ = with_repeats(BATCH, 0.25, 300, seed=1, number=7)
    left = (inputs == BATCH[:, :-1]).all(dim=1)
    assert 8 <= int((~left).sum()) <= 24


def test_the_same_number_replaces_the_same_rows_by_the_same() -> None:
    first = with_repeats(BATCH, 0.5, 300, seed=3, number=5)
    again = with_repeats(BATCH, 0.5, 300, seed=3, number=5)
    other = with_repeats(BATCH, 0.5, 300, seed=3, number=6)
    assert torch.equal(first[0], again[0])
    assert torch.equal(first[1], again[1])
    assert not torch.equal(first[0], other[0])
