"""The probability of every token of a text, against transformers."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gpt2 import SamplingOptions, load
from gpt2.scoring import score
from tests.interpret.hooked import NAMES, pair

from ..small import small_engine


@pytest.mark.parametrize("start_token", [True, False])
@pytest.mark.parametrize("name", NAMES)
def test_every_number_is_theirs(name: str, start_token: bool) -> None:
    own = pair(name)
    ids = own.ids()
    found = own.engine.probabilities(ids, start_token=start_token)
    assert found.start_token == start_token
    read = [own.engine.tokenizer.end_of_text, *ids] if start_token else ids
    exact = torch.from_numpy(own.logits(read)).double().softmax(-1).numpy()
    targets = ids if start_token else ids[1:]
    choices = found.choices if start_token else found.choices[1:]
    for choice, token, row in zip(choices, targets, exact, strict=False):
        assert choice is not None
        assert choice.probability == pytest.approx(row[token], rel=1e-3)
        assert choice.surprisal == pytest.approx(-np.log2(row[token]), abs=1e-3)
        assert choice.entropy == pytest.approx(-(row * np.log2(row)).sum(), abs=1e-3)
        assert abs(choice.rank - 1 - (row > row[token]).sum()) <= 1  # rounding may swap neighbours
    assert found.following is not None
    assert found.following.likeliest[0].before == pytest.approx(exact[-1].max(), rel=1e-3)


def test_without_a_start_token_the_first_has_no_probability() -> None:
    engine = small_engine()
    with_start, without = (engine.probabilities([5, 6, 7], start_token=s) for s in (True, False))
    assert without.choices[0] is None
    assert without.surprisals()[0] is without.bands()[0] is None
    assert all(each is not None for each in (*with_start.choices, *without.choices[1:]))
    # It changes every answer after it.
    assert with_start.choices[1] != without.choices[1]


def test_surprisals_are_those_of_scoring() -> None:
    engine = load("tiny")
    text = "Once upon a time there was a king who had a daughter."
    found = engine.probabilities(text)
    np.testing.assert_allclose(found.surprisals(), score(engine, text).bits, atol=1e-3)
    assert found.ids == tuple(engine.encode(text))


def test_an_empty_text_tells_what_may_begin_one() -> None:
    engine = small_engine()
    found = engine.probabilities("", SamplingOptions(top_k=3))
    assert found.choices == ()
    assert found.following is not None
    assert found.following.chosen is None
    assert found.following.kept == 3
    with pytest.raises(ValueError, match="no token to start from"):
        engine.probabilities([], start_token=False)


def test_a_text_as_long_as_the_context_has_all_but_what_follows() -> None:
    engine = small_engine()
    length = engine.config.max_seq_len
    for start_token in (True, False):
        found = engine.probabilities([5] * length, start_token=start_token)
        assert len(found.choices) == length
        assert (found.following is None) == start_token
    with pytest.raises(ValueError, match="more than the 320"):
        engine.probabilities([5] * (length + 2))


def test_bands_are_those_of_gltr() -> None:
    engine = load("tiny")
    found = engine.probabilities("Once upon a zebra, theorem 7 whom blue")
    for choice, band in zip(found.choices, found.bands(), strict=True):
        assert choice is not None
        assert band == int(np.searchsorted([10, 100, 1000], choice.rank))
    assert len(set(found.bands())) > 2


def test_the_chosen_one_is_listed_with_what_removes_it() -> None:
    engine = small_engine()
    cut = engine.probabilities([5, 6, 7], SamplingOptions(top_k=1)).choices
    for choice in cut:
        assert choice is not None
        assert choice.chosen in choice.likeliest
        assert choice.chosen.cut == (None if choice.rank == 1 else "top-k")
        assert sum(each.after for each in choice.likeliest) == pytest.approx(1)


@pytest.mark.parametrize("count", [0, 1.5])
def test_a_count_that_lists_nothing_is_refused(count: float) -> None:
    with pytest.raises(ValueError, match="whole number from 1"):
        small_engine().probabilities([1], count=count)  # type: ignore[arg-type]  # on purpose
