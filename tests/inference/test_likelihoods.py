"""The numbers of a place of a text against the plain ones: softmax, sorting, float64."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpt2.inference.likelihoods import Choice, choice_of
from gpt2.sampling import SamplingOptions, choose, filtered
from gpt2.scoring import distributions
from tests.examples import examples

OPTIONS = st.builds(
    SamplingOptions,
    temperature=st.sampled_from([0.0, 0.01, 0.3, 0.85, 1.0, 2.0]),
    top_k=st.sampled_from([0, 1, 3, 40, 900]),
    top_p=st.sampled_from([0.001, 0.5, 0.9, 0.98, 1.0]),
    seed=st.integers(0, 9),
)


def some_logits(seed: int, size: int, scale: float) -> np.ndarray:
    """As far from 0 as real GPT-2's."""
    return (np.random.default_rng(seed).normal(size=size) * scale - 100).astype(np.float32)


@given(
    options=OPTIONS,
    seed=st.integers(0, 99),
    size=st.sampled_from([3, 64, 500, 5000]),
    scale=st.sampled_from([0.0, 0.1, 2.0, 6.0]),
    data=st.data(),
)
@examples(300)
def test_they_are_those_of_sorting_everything(
    options: SamplingOptions, seed: int, size: int, scale: float, data: st.DataObject
) -> None:
    logits = some_logits(seed, size, scale)
    token = data.draw(st.integers(0, size - 1))
    found = choice_of(logits, token, options)
    before, after = distributions(logits, options)
    likeliest = np.lexsort((np.arange(size), -logits))[:10].tolist()
    assert [each.token for each in found.likeliest][: len(likeliest)] == likeliest
    assert found.chosen in found.likeliest
    assert found.probability == pytest.approx(before[token], rel=1e-4)
    assert found.surprisal == pytest.approx(-np.log2(before[token]), abs=1e-3)
    assert found.rank == 1 + (logits > logits[token]).sum()
    assert found.entropy == pytest.approx(-(before * np.log2(before)).sum(), abs=2e-4)
    # What is kept may still underflow to a probability of 0.
    kept = np.isfinite(filtered(logits, options)).sum() if options.temperature else 1
    assert abs(found.kept - kept) <= _at_the_edge(logits, options)
    for each in found.likeliest:
        assert each.before == pytest.approx(before[each.token], rel=1e-4, abs=1e-12)
        if found.kept == kept:
            assert each.after == pytest.approx(after[each.token], rel=1e-4, abs=1e-12)
            assert (each.cut is None) or after[each.token] == 0
        assert each.rank == 1 + (logits > logits[each.token]).sum()
    assert sum(each.before for each in found.likeliest) + found.rest_before == pytest.approx(1)
    assert sum(each.after for each in found.likeliest) + found.rest_after == pytest.approx(1)


def _at_the_edge(logits: np.ndarray, options: SamplingOptions) -> int:
    """How many tokens lie so near to top-p's edge that another order of summing may cut them."""
    if options.temperature == 0 or options.top_p == 1:
        return 0
    near = [
        np.isfinite(filtered(logits, SamplingOptions(options.temperature, options.top_k, p))).sum()
        for p in np.clip(options.top_p + np.array([-2e-6, 2e-6]), 1e-9, 1)
    ]
    return int(near[1] - near[0])


@pytest.mark.parametrize(
    ("options", "token", "cut"),
    [
        (SamplingOptions(), 4, None),
        (SamplingOptions(top_k=2), 4, "top-k"),
        (SamplingOptions(top_p=0.5), 4, "top-p"),
        (SamplingOptions(top_k=4, top_p=0.5), 4, "top-k"),
        (SamplingOptions(top_k=4, top_p=0.5), 3, "top-p"),
        (SamplingOptions(temperature=0), 4, "temperature"),
        (SamplingOptions(temperature=0), 0, None),
    ],
)
def test_the_chosen_one_is_listed_with_what_removes_it(
    options: SamplingOptions, token: int, cut: str | None
) -> None:
    logits = np.array([3, 2, 1, 0, -1, -2], np.float32)
    found = choice_of(logits, token, options, count=1)
    assert [each.token for each in found.likeliest] == sorted({0, token})
    assert found.chosen is not None
    assert found.chosen.cut == cut
    assert (found.chosen.after == 0) == (cut is not None)


def test_a_place_without_a_token_has_only_its_candidates() -> None:
    found = choice_of(some_logits(1, 100, 3), None, SamplingOptions())
    assert found.chosen is None
    assert len(found.likeliest) == 10
    with pytest.raises(ValueError, match="No token stands"):
        _ = found.rank


@given(options=OPTIONS, seed=st.integers(0, 400))
@examples(200)
def test_what_was_drawn_is_never_said_to_be_removed(options: SamplingOptions, seed: int) -> None:
    logits = some_logits(seed, 3000, 2)
    token = choose(logits, options, position=seed)
    found = choice_of(logits, token, options, drawn=True)
    assert found.chosen is not None
    assert found.chosen.cut is None


def test_it_takes_a_small_part_of_a_pass() -> None:
    """The fastest of many: it must be a fraction of the 12 ms or more of a token of 124M."""
    logits = some_logits(0, 50257, 4)
    options = SamplingOptions(temperature=0.85, top_p=0.98)

    def once() -> float:
        began = time.perf_counter()
        assert isinstance(choice_of(logits, 777, options), Choice)
        return time.perf_counter() - began

    assert min(once() for _ in range(200)) < 1e-3
