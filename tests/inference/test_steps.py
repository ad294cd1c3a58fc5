"""Requests that cannot be served are refused, and prompts are cut where the model says."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from gpt2.config import SIZES, GPT2Config
from gpt2.inference.steps import Request, Step, check_draft, check_request, piece_length
from tests.small import CONFIG

SHORT = [1, 2, 3, 4, 5]


def test_a_piece_is_as_long_as_a_model_can_afford() -> None:
    pieces = {name: piece_length(SIZES[name].config) for name in SIZES}
    assert pieces["tiny"] == pieces["mini"] == pieces["distil"] == pieces["small"] == 512
    assert pieces["medium"] == 192
    assert pieces["large"] == pieces["xl"] == 128


@pytest.mark.parametrize(
    ("ids", "new_tokens", "message"),
    [
        ([], 5, "no token to start from"),
        (SHORT, -1, "0 or more, not -1"),
        (SHORT, 316, "5 tokens and 316 new ones are more than the 320"),
        (SHORT * 106, 0, "530 tokens and 0 new ones are more than the 320"),
    ],
)
def test_what_cannot_fit_is_refused(ids: list[int], new_tokens: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_request(Request(ids, new_tokens), CONFIG)


def test_another_vocabulary_is_no_draft() -> None:
    with pytest.raises(ValueError, match="same vocabulary: this model has 400 tokens, the draft 3"):
        check_draft(CONFIG, GPT2Config(300, 24, 3, 8, 1, 40))


def test_a_step_travels_as_numbers() -> None:
    step = Step(5, 1, {0: np.ones((3, 1, 9), np.float32)}, guess=4)
    far = pickle.loads(pickle.dumps(step))
    assert (far.token, far.fed, far.guess) == (5, 1, 4)
    assert np.array_equal(far.attention[0], step.attention[0])
