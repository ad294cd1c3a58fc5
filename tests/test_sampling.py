"""The next token: the right distribution, the right candidates, the same draw every time."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gpt2.engine import Event
from gpt2.round_robin import RoundRobin
from gpt2.sampling import (
    GREEDY,
    Floats,
    SamplingOptions,
    _noise,
    choose,
    filtered,
    gumbel,
    softmax,
)
from tests.examples import examples
from tests.small import small_engine

DRAWS = 20_000
LOGITS = np.array([2.0, -1.0, 0.5, 1.5, -3.0, 0.0, 1.4, -0.5], np.float32)
INFINITY, NAN = math.inf, math.nan
many = examples(150)
logits_of_any_kind = st.lists(st.floats(-200, 200, width=32), min_size=1, max_size=40).map(
    lambda values: np.array(values, np.float32)
)


@given(st.lists(st.integers(0, 50_256), min_size=1, max_size=40), st.integers(0, 2**63 - 1))
@many
def test_a_token_has_its_noise_whoever_else_is_asked_for(tokens: list[int], seed: int) -> None:
    """Choosing asks for the noise of few; vectors of log must not depend on where a number lies."""
    some = _noise(seed, 9, np.array(tokens, np.uint32))
    assert (some == gumbel(seed, 9, 50_257)[tokens]).all()


@pytest.fixture(scope="module")
def noise() -> Floats:
    """The noise of 20,000 places: (draws, V)."""
    return np.stack([gumbel(3, place, len(LOGITS)) for place in range(DRAWS)])


def kept(logits: Floats, options: SamplingOptions) -> set[int]:
    return set(np.flatnonzero(np.isfinite(filtered(logits, options))).tolist())


@pytest.mark.parametrize(
    "options",
    [
        SamplingOptions(seed=3),
        SamplingOptions(temperature=0.6, seed=3),
        SamplingOptions(temperature=2, seed=3),
        SamplingOptions(top_k=3, seed=3),
        SamplingOptions(top_p=0.8, seed=3),
        SamplingOptions(temperature=1.5, top_k=6, top_p=0.9, seed=3),
    ],
    ids=str,
)
def test_draws_follow_the_softmax_of_what_is_kept(options: SamplingOptions, noise: Floats) -> None:
    """Pearson's chi-square, within five standard deviations of what chance gives."""
    scores = filtered(LOGITS, options)
    winners = (scores + noise).argmax(-1)
    for place in range(0, DRAWS, 397):
        assert choose(LOGITS, options, place) == winners[place]
    counts = np.bincount(winners, minlength=len(LOGITS))
    expected = DRAWS * softmax(scores.astype(np.float64))
    possible = expected > 0
    assert not counts[~possible].any()
    freedom = int(possible.sum()) - 1
    squares = (counts - expected)[possible] ** 2 / expected[possible]
    assert squares.sum() < freedom + 5 * math.sqrt(2 * freedom)


def test_filters_leave_the_proportions_of_the_softmax() -> None:
    options = SamplingOptions(temperature=0.7, top_k=4, top_p=0.95)
    candidates = sorted(kept(LOGITS, options))
    found = softmax(filtered(LOGITS, options))[candidates]
    np.testing.assert_allclose(found, softmax(LOGITS[candidates] / 0.7), rtol=1e-6)


def test_the_same_arguments_give_the_same_token() -> None:
    options = SamplingOptions(temperature=1.1, top_k=7, top_p=0.9, seed=2**63 - 1)
    first = [choose(LOGITS, options, place) for place in range(50)]
    np.random.seed(5)
    assert [choose(LOGITS, options, place) for place in range(50)] == first
    assert len(set(first)) > 1


def test_no_draw_touches_the_generator_of_others() -> None:
    before = np.random.get_state()[1].tolist()
    choose(LOGITS, SamplingOptions(seed=1), 0)
    assert np.random.get_state()[1].tolist() == before


@given(logits=logits_of_any_kind, place=st.integers(0, 1023))
@many
def test_temperature_0_is_greedy(logits: Floats, place: int) -> None:
    assert choose(logits, GREEDY, place) == logits.argmax()


@given(
    logits=st.sets(st.integers(-200, 200), min_size=1, max_size=40).map(
        lambda values: np.array(list(values), np.float32)
    ),
    temperature=st.sampled_from([1e-3, 1e-9, 1e-37, 1e-310]),
    place=st.integers(0, 1023),
)
@many
def test_temperature_towards_0_becomes_greedy(
    logits: Floats, temperature: float, place: int
) -> None:
    options = SamplingOptions(temperature=temperature, top_p=0.9)
    assert choose(logits, options, place) == logits.argmax()


@given(logits=logits_of_any_kind, k=st.integers(0, 45))
@many
def test_top_k_keeps_the_k_likeliest_and_their_equals(logits: Floats, k: int) -> None:
    found = kept(logits, SamplingOptions(top_k=k))
    shifted = (logits - logits.max()).tolist()
    if k == 0:
        assert len(found) == len(shifted)
    else:
        kth = sorted(shifted, reverse=True)[min(k, len(shifted)) - 1]
        assert found == {token for token, logit in enumerate(shifted) if logit >= kth}


@given(logits=logits_of_any_kind, p=st.floats(0.001, 1))
@many
def test_top_p_keeps_the_fewest_that_reach_p_and_their_equals(logits: Floats, p: float) -> None:
    found = kept(logits, SamplingOptions(top_p=p))
    probability = softmax(logits.astype(np.float64))
    rest = set(range(len(logits))) - found
    shifted = logits - logits.max()  # what differs by less than float32 sees is equal
    least = min(shifted[token] for token in found)
    assert probability[sorted(found)].sum() >= p - 1e-6
    if p < 1:
        above = [token for token in found if shifted[token] > least]
        assert not above or probability[above].sum() < p + 1e-6
    if rest:
        assert max(shifted[token] for token in rest) < least


@given(
    logits=logits_of_any_kind,
    p=st.floats(0.001, 1),
    k=st.integers(0, 12),
    seed=st.integers(0, 2**63 - 1),
)
def test_the_choice_is_the_winner_among_what_is_kept(
    logits: Floats, p: float, k: int, seed: int
) -> None:
    """Choosing never sorts, `filtered` does: they must agree on every token."""
    options = SamplingOptions(temperature=0.7, top_k=k, top_p=p, seed=seed)
    noise = gumbel(seed, 3, len(logits))
    assert choose(logits, options, 3) == int((filtered(logits, options) + noise).argmax())


@pytest.mark.timeout(60)
@given(
    logits=logits_of_any_kind,
    temperature=st.floats(0, 2),
    p=st.floats(0, 1, exclude_min=True),
    k=st.integers(0) | st.integers(0, 45),
    seed=st.integers(0, 2**63 - 1),
)
@example(np.array([1.0, 2.0, 2.0]), 1.0, 1e-300, 0, 0)
@example(np.array([1.0, 2.0, 2.0]), 1.0, 5e-324, 0, 0)
@example(np.array([1.0, 2.0, 2.0]), 1.0, 1e-45, 2, 0)
@example(np.array([1.0, 2.0, 2.0]), 5e-324, 5e-324, 0, 0)
@example(np.array([-INFINITY, 2.0, 2.0]), 1e-310, 0.9999999999, 0, 0)
@many
def test_every_legal_number_ends_in_a_token(
    logits: Floats, temperature: float, p: float, k: int, seed: int
) -> None:
    """A `top_p` that is 0 in float32 once looked for a token for ever."""
    options = SamplingOptions(temperature=temperature, top_k=k, top_p=p, seed=seed)
    token = choose(logits, options, 3)
    assert logits[token] > -INFINITY
    if p < 1e-7 or temperature < 1e-30:  # then only the likeliest and its equals are left
        assert logits[token] >= logits.max() - 1e-20
    if temperature > 0:
        assert kept(logits, options)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"top_k": 1}, {0}),
        ({"top_k": 2}, {0, 1, 2}),  # 1 and 2 are equal: neither has the better claim
        ({"top_k": 3}, {0, 1, 2}),
        ({"top_k": 4}, {0, 1, 2, 3}),
        ({"top_k": 99}, {0, 1, 2, 3}),
        ({"top_k": 0}, {0, 1, 2, 3}),
        ({"top_p": 1e-9}, {0}),
        ({"top_p": 0.49}, {0}),
        ({"top_p": 0.89}, {0, 1, 2}),
        ({"top_p": 0.91}, {0, 1, 2, 3}),
        ({"top_p": 1.0}, {0, 1, 2, 3}),
        ({"top_k": 3, "top_p": 0.55}, {0}),  # of what top-k left, 0 alone has 0.5556
        ({"temperature": 0.5, "top_p": 0.7}, {0}),  # cooler: 0 has 0.735
    ],
    ids=str,
)
def test_filters_on_a_distribution_one_can_see(options: dict, expected: set[int]) -> None:
    logits = np.log([0.5, 0.2, 0.2, 0.1])
    assert kept(logits, SamplingOptions(**options)) == expected


@pytest.mark.parametrize("k", [1, 39, 784, 786, 50_256])
def test_top_k_of_a_real_vocabulary(k: int) -> None:
    logits = np.random.default_rng(k).standard_normal(50_257, np.float32)
    assert kept(logits, SamplingOptions(top_k=k)) == set(np.argsort(logits)[-k:].tolist())


@pytest.mark.parametrize("options", [GREEDY, SamplingOptions(top_k=3), SamplingOptions(top_p=0.9)])
def test_ids_that_are_no_tokens_are_never_drawn(options: SamplingOptions) -> None:
    best = [0, 3, 6]
    drawn = {choose(LOGITS, options, place, never=best) for place in range(300)}
    assert drawn and not drawn & set(best)
    assert LOGITS[0] == 2, "the logits are the caller's"


def test_equals_stay_or_go_together() -> None:
    assert len(kept(np.zeros(10), SamplingOptions(top_p=0.35))) == 10
    assert len(kept(np.zeros(10), SamplingOptions(top_k=3))) == 10


@pytest.mark.parametrize("dtype", [np.float16, np.float64])
def test_any_precision_of_logits_will_do(dtype: type) -> None:
    options = SamplingOptions(temperature=0.8, top_k=5, top_p=0.9, seed=4)
    logits = LOGITS.astype(dtype)
    for place in range(20):
        assert choose(logits, options, place) == choose(logits.astype(np.float32), options, place)


def test_a_token_that_cannot_be_never_is() -> None:
    logits = np.array([-INFINITY, 1.0, -INFINITY, 0.0])
    for options in (SamplingOptions(), SamplingOptions(top_k=3), SamplingOptions(top_p=0.99)):
        assert {choose(logits, options, place) for place in range(200)} == {1, 3}


def test_the_noise_is_standard_gumbel() -> None:
    values = np.concatenate([gumbel(0, place, 50257) for place in range(20)]).astype(np.float64)
    count = values.size
    variance = math.pi**2 / 6
    assert abs(values.mean() - 0.5772156649) < 5 * math.sqrt(variance / count)
    assert abs(values.var() - variance) < 5 * math.sqrt(4.4 * variance**2 / count)
    for quantile in (0.001, 0.1, 0.5, 0.9, 0.999):
        below = (values <= -math.log(-math.log(quantile))).mean()
        assert abs(below - quantile) < 5 * math.sqrt(quantile * (1 - quantile) / count)


def test_the_noise_is_finite_even_where_rounding_reaches_1() -> None:
    """Place 1016 of seed 0 gives token 29460 one of the 128 hashes that float32 rounds to 2^32."""
    noise = gumbel(0, 1016, 50257)
    assert np.isfinite(noise).all()
    assert noise.argmin() == 29460
    only = np.full(50257, -INFINITY)
    only[29460] = 0
    assert choose(only, SamplingOptions(), 1016) == 29460


@pytest.mark.parametrize("step", [1, 2, 256])
def test_neighbours_share_no_noise(step: int) -> None:
    """Between places, between seeds, and between tokens: no correlation beyond chance."""
    limit = 5 / math.sqrt(50257)
    for seed, place in [(0, 0), (1, 17), (12345, 1000)]:
        here = gumbel(seed, place, 50257)
        others = [
            gumbel(seed, place + step, 50257),
            gumbel(seed + step, place, 50257),
            gumbel(seed + step, place + step, 50257),
            np.roll(here, step),
        ]
        for other in others:
            assert abs(np.corrcoef(here, other)[0, 1]) < limit


def test_seed_and_place_do_not_stand_in_for_each_other() -> None:
    streams = {tuple(gumbel(s, p, 3).tolist()) for s in range(40) for p in range(40)}
    assert len(streams) == 1600


def test_models_with_different_vocabularies_meet_the_same_noise() -> None:
    assert np.array_equal(gumbel(9, 4, 8192), gumbel(9, 4, 50257)[:8192])


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        *(
            ({"temperature": t}, "Temperature must be from 0 to 2")
            for t in (-0.1, 2.1, NAN, INFINITY)
        ),
        *(({"top_k": k}, "Top-k must be a whole number from 0") for k in (-1, 2.5, NAN, INFINITY)),
        *(({"top_p": p}, "Top-p must be above 0 and at most 1") for p in (0, -1, 1.01, NAN)),
        *(
            ({"seed": s}, "Seed must be a whole number from 0")
            for s in (-1, 2**63, 0.5, NAN, INFINITY)
        ),
    ],
    ids=str,
)
def test_an_option_out_of_range_says_so(wrong: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message) as error:
        SamplingOptions(**wrong)
    assert str(next(iter(wrong.values()))) in str(error.value)


def test_a_slider_s_40_0_is_40() -> None:
    found = SamplingOptions(top_k=40.0, seed=7.0)
    assert found == SamplingOptions(top_k=40, seed=7)
    assert choose(LOGITS, found, 0) == choose(LOGITS, SamplingOptions(top_k=40, seed=7), 0)
    assert isinstance(found.top_k, int) and isinstance(found.seed, int)


def test_one_model_twice_with_the_same_noise_writes_the_same_text() -> None:
    engine = small_engine()
    options = SamplingOptions(temperature=1.2, top_p=0.95, seed=11)
    together: RoundRobin[int] = RoundRobin()
    for column in (0, 1):
        together.join(column, engine.stream("It was late", options, 60))
    texts = {0: "", 1: ""}
    while together.running:
        for column, event in together.round():
            assert isinstance(event, Event)
            texts[column] += event.text
    assert texts[0] == texts[1] == engine.complete("It was late", options, 60)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 1.6])
@pytest.mark.parametrize("distance", [0.3, 1.0, 3.0])
def test_models_with_the_same_noise_agree_at_least_as_often(
    temperature: float, distance: float, noise: Floats
) -> None:
    """Two unlike models at 100,000 places: how often both choose one token, against other noise."""
    random = np.random.default_rng(1)
    other = LOGITS + distance * random.standard_normal(len(LOGITS), np.float32)
    one = (LOGITS / temperature + noise).argmax(-1)
    same = (other / temperature + noise).argmax(-1)
    unlike = (other / temperature + np.roll(noise, 1, 0)).argmax(-1)
    coupled = (one == same).mean()
    independent = (one == unlike).mean()
    chance = (softmax(LOGITS / temperature) * softmax(other / temperature)).sum()
    assert abs(independent - chance) < 5 * 0.5 / math.sqrt(DRAWS)
    assert coupled > independent + 0.02
