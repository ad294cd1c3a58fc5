"""What would have flipped, against trying every temperature."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpt2.interpret.flips import flip_range
from gpt2.sampling import SamplingOptions, choose
from tests.examples import examples

from ..small import small_engine

PLACE = 5


def some_logits(seed: int) -> np.ndarray:
    return (np.random.default_rng(seed).normal(size=60) * 3).astype(np.float32)


@given(
    seed=st.integers(0, 500),
    temperature=st.sampled_from([0.0, 0.3, 0.85, 1.0, 1.7]),
    top_k=st.sampled_from([0, 1, 4, 20]),
    top_p=st.sampled_from([1.0, 1.0, 0.98, 0.7, 0.2]),
)
@examples(100)
def test_the_temperatures_are_those_of_a_scan(
    seed: int, temperature: float, top_k: int, top_p: float
) -> None:
    logits = some_logits(seed)
    options = SamplingOptions(temperature, top_k, top_p, seed=seed)
    near = 1e-5 if top_p == 1 else 1e-3  # what top-p cuts, drawing sums in float32
    token = choose(logits, options, PLACE)
    found = flip_range(logits, token, options, PLACE)
    assert found.below <= temperature <= found.above
    for other in np.linspace(0.001, 2, 800):
        drawn = choose(logits, replace(options, temperature=float(other)), PLACE)
        if found.below + near < other < found.above - near:
            assert drawn == token
        elif other < found.below - near or other > found.above + near:
            assert drawn != token
    for edge, beyond, instead in (
        (found.above, 1e-4, found.token_above),
        (found.below, -1e-4, found.token_below),
    ):
        if instead is not None and 1e-3 < edge + beyond < 2:
            at = flip_range(
                logits,
                drawn := choose(logits, replace(options, temperature=edge + beyond), PLACE),
                replace(options, temperature=edge + beyond),
                PLACE,
            )
            # Another flip may be nearer than the step beyond the edge.
            assert drawn == instead or min(abs(at.below - edge), abs(at.above - edge)) < 2e-4


@given(
    seed=st.integers(0, 500),
    top_k=st.integers(1, 60),
    top_p=st.sampled_from([1.0, 0.9, 0.4]),
)
@examples(60)
def test_top_k_is_that_of_a_scan(seed: int, top_k: int, top_p: float) -> None:
    logits = some_logits(seed)
    options = SamplingOptions(1.3, top_k, top_p, seed=seed)
    token = choose(logits, options, PLACE)
    found = flip_range(logits, token, options, PLACE)
    most = len(logits) if found.top_k_to is None else found.top_k_to
    same = [k for k in range(1, 61) if choose(logits, replace(options, top_k=k), PLACE) == token]
    assert same == list(range(found.top_k_from, min(60, most) + 1))


def test_what_these_options_do_not_draw_is_refused() -> None:
    logits = some_logits(3)
    options = SamplingOptions(seed=3)
    other = (choose(logits, options, PLACE) + 1) % 60
    with pytest.raises(ValueError, match="not what these options draw"):
        flip_range(logits, other, options, PLACE)


OPTIONS = SamplingOptions(0.85, 0, 0.9, seed=4)
PROMPT = [1, 2, 3]


def written() -> list[int]:
    return [*PROMPT, *small_engine().generate_ids(PROMPT, 25, OPTIONS)]


def test_under_the_original_options_nothing_flips() -> None:
    assert small_engine().flips(written(), len(PROMPT), OPTIONS) == []


@pytest.mark.parametrize(
    "other",
    [
        replace(OPTIONS, temperature=1.6),
        replace(OPTIONS, temperature=0),
        replace(OPTIONS, top_k=2),
        replace(OPTIONS, top_p=0.3),
    ],
)
def test_the_first_flip_is_what_would_have_been_written(other: SamplingOptions) -> None:
    engine, ids = small_engine(), written()
    found = engine.flips(ids, len(PROMPT), other)
    rewritten = [*PROMPT, *engine.generate_ids(PROMPT, 25, other)]
    first = next(i for i, (a, b) in enumerate(zip(ids, rewritten, strict=True)) if a != b)
    assert (found[0].place, found[0].token, found[0].instead) == (
        first,
        ids[first],
        rewritten[first],
    )
    assert [each.certain for each in found] == [True] + [False] * (len(found) - 1)
    # The later ones are what would have come had all before stayed.
    for flip in found:
        assert engine.generate_ids(ids[: flip.place], 1, other) == [flip.instead]
    unmarked = set(range(len(PROMPT), len(ids))) - {flip.place for flip in found}
    for place in unmarked:
        assert engine.generate_ids(ids[:place], 1, other) == [ids[place]]


@pytest.mark.parametrize("top_p", [1, 0.9])
def test_ranges_and_flips_agree(top_p: float) -> None:
    engine = small_engine()
    options = replace(OPTIONS, top_p=top_p)
    ids = [*PROMPT, *engine.generate_ids(PROMPT, 25, options)]
    ranges = engine.flip_ranges(ids, len(PROMPT), options)
    assert [each.place for each in ranges] == list(range(3, 28))
    hotter = engine.flips(ids, 3, replace(options, temperature=1.5))
    assert {flip.place for flip in hotter} == {r.place for r in ranges if r.above < 1.5}
    greedy = engine.flips(ids, 3, replace(options, temperature=0))
    assert {flip.place for flip in greedy} == {r.place for r in ranges if r.below > 0}
    assert all(math.isinf(r.above) == (r.token_above is None) for r in ranges)


def test_with_heads_off_the_draw_is_that_of_the_model_without_them() -> None:
    engine, off = small_engine(), [(0, 1), (1, 0)]
    ids = [*PROMPT, *engine.generate_ids(PROMPT, 25, OPTIONS, off=off)]
    assert engine.flips(ids, 3, OPTIONS, off) == []
    assert engine.flips(ids, 3, OPTIONS) != []
    assert len(engine.flip_ranges(ids, 3, OPTIONS, off)) == 25


@pytest.mark.parametrize("start", [0, 29])
def test_a_start_outside_the_text_is_refused(start: int) -> None:
    with pytest.raises(ValueError, match="from 1 to 28"):
        small_engine().flips(written(), start, OPTIONS)


def test_a_text_of_a_prompt_alone_has_no_flips() -> None:
    assert small_engine().flips(PROMPT, 3, OPTIONS) == []
