"""Head roles: each score on maps made for it, and the probe on a model made for it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpt2.cli.heads import on_text
from gpt2.head_probe import probe
from gpt2.interpret.head_roles import Roles, Weights, measure, pattern_match, strongest
from tests.small import small_engine

# TransformerLens' worked example (its Head_Detector demo), and what it gives there.
WORKED = np.array(
    [[1, 0, 0, 0], [0.5, 0.5, 0, 0], [0.2, 0.3, 0.5, 0], [0.1, 0.15, 0.5, 0.25]], np.float32
)
PREVIOUS = np.eye(4, k=-1, dtype=bool)
N = 12
IDS = [5, 6, 7, 8, 9, 10, 5, 6, 7, 8, 9, 10]  # the second half repeats the first


def reading(target) -> Weights:
    """A head whose token i reads only `target(i)`."""
    maps = np.zeros((N, N), np.float32)
    for i in range(N):
        maps[i, target(i)] = 1
    return maps


def test_the_worked_example() -> None:
    assert pattern_match(WORKED, PREVIOUS) == pytest.approx(0.325)
    apart = pattern_match(WORKED, PREVIOUS, exclude_first=True, exclude_self=True)
    assert apart == pytest.approx(0.842, abs=5e-4)
    roles = measure(WORKED, [1, 2, 3, 4])
    assert roles.previous_of_rest == pytest.approx(apart)
    assert roles.previous == pytest.approx((0.5 + 0.3 + 0.5) / 3)
    assert roles.self == pytest.approx((0.5 + 0.5 + 0.25) / 3)
    assert roles.first == pytest.approx((0.5 + 0.2 + 0.1) / 3)
    assert roles.distance == pytest.approx((0.5 + 0.7 + (0.3 + 0.3 + 0.5)) / 3)


@pytest.mark.parametrize(
    ("role", "target", "score"),
    [
        ("previous", lambda i: max(i - 1, 0), 1),
        ("self", lambda i: i, 1),
        ("first", lambda i: 0, 1),
        ("duplicate", lambda i: i - 6 if i >= 6 else 0, 1),
        ("induction", lambda i: i - 5 if i >= 6 else 0, 1),
    ],
)
def test_a_head_made_for_a_role_scores_one_and_is_named(role, target, score) -> None:
    roles = measure(reading(target)[None], IDS)
    assert getattr(roles, role) == pytest.approx(score)
    assert strongest(roles).tolist() == [role]


def test_a_uniform_head_is_spread_over_all_it_sees_and_has_no_name() -> None:
    uniform = np.tril(np.ones((N, N), np.float32)) / np.arange(1, N + 1, dtype=np.float32)[:, None]
    roles = measure(uniform[None], IDS)
    entropy = np.mean([np.log(i + 1) for i in range(1, N)])
    assert roles.effective == pytest.approx(np.exp(entropy), rel=1e-5)
    assert roles.distance == pytest.approx(np.mean([i / 2 for i in range(1, N)]), rel=1e-5)
    assert strongest(roles).tolist() == [""]


def test_without_repeats_there_is_no_evidence() -> None:
    roles = measure(reading(lambda i: 0), list(range(N)))
    assert roles.repeats == 0
    assert np.isnan(roles.duplicate)
    assert np.isnan(roles.induction)
    assert roles.first == 1


def test_what_followed_a_copy_one_back_is_the_token_itself() -> None:
    maps = np.array([[1, 0], [0.25, 0.75]], np.float32)
    roles = measure(maps, [3, 3])
    assert roles.duplicate == pytest.approx(0.25)
    assert roles.induction == pytest.approx(0.75)


@given(st.lists(st.integers(0, 4), min_size=2, max_size=20), st.integers(0, 10**6))
def test_scores_are_shares_and_add_up_to_no_more_than_one(ids: list[int], seed: int) -> None:
    random = np.random.default_rng(seed)
    maps = np.tril(random.random((3, len(ids), len(ids)))).astype(np.float32)
    maps /= maps.sum(axis=-1, keepdims=True)
    roles = measure(maps, ids)
    for name in ("previous", "self", "first", "duplicate", "induction"):
        scores = getattr(roles, name)
        assert np.isnan(scores).all() or ((scores >= 0) & (scores <= 1 + 1e-6)).all()
    if len(ids) > 2:
        assert (roles.self + roles.first <= 1 + 1e-6).all()
    assert (roles.effective <= len(ids) + 1e-4).all()
    assert (roles.distance <= len(ids)).all()


def test_the_probe_measures_every_head_and_repeats_itself() -> None:
    engine = small_engine()
    roles = probe(engine, length=20, seeds=2)
    assert isinstance(roles, Roles)
    shape = (engine.config.num_blocks, engine.config.num_heads)
    assert roles.induction.shape == roles.effective.shape == shape
    assert roles.repeats == 20
    np.testing.assert_array_equal(roles.induction, probe(engine, length=20, seeds=2).induction)


def test_the_probe_is_the_formula_with_the_copies_at_one_distance() -> None:
    """Mean over i >= S of A_i,i-S and A_i,i-S+1, straight from the maps."""
    engine, length = small_engine(), 20
    half = np.random.default_rng(0).choice(engine.config.vocab_size - 1, length, replace=False)
    maps = np.stack([engine.attention_rows([*half, *half], layer) for layer in range(2)])
    rows = np.arange(length, 2 * length)
    roles = probe(engine, length, seeds=1)
    np.testing.assert_allclose(roles.duplicate, maps[..., rows, rows - length].mean(-1), atol=1e-6)
    after = maps[..., rows, rows - length + 1].mean(-1)
    np.testing.assert_allclose(roles.induction, after, atol=1e-6)


def test_a_text_is_measured_layer_and_head() -> None:
    engine = small_engine()
    text = "The fox saw the fox."
    ids = engine.encode(text)
    roles = on_text(engine, text)
    for layer in range(2):
        expected = measure(engine.attention_rows(ids, layer), ids)
        np.testing.assert_allclose(roles.previous[layer], expected.previous, atol=1e-6)
        np.testing.assert_allclose(roles.effective[layer], expected.effective, rtol=1e-5)
