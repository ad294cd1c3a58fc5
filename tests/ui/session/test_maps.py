"""Every map of a text, made from all heads' bytes, against the model's own numbers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gpt2 import SamplingOptions
from gpt2.interpret.atlas import (
    bins_for,
    pack_nibbles,
    packed_rows,
    pool_for,
    pooled_map,
    pooled_rows,
)
from gpt2.interpret.row_codec import to_weights
from gpt2.model import causal_attention
from gpt2.sampling import GREEDY
from gpt2.ui.session.attention_budget import CaptureBudget
from gpt2.ui.session.attention_store import Capture
from gpt2.ui.session.maps import MODES, MapView, map_rows, parsed_view
from tests.examples import examples
from tests.small import CONFIG, small_engine

ENGINE = small_engine()
LAYERS, HEADS = CONFIG.num_blocks, CONFIG.num_heads
IDS = ENGINE.encode("It was late, and the fox was not at home. The fox was late. " * 3)
N = len(IDS)
TRUE = np.stack([ENGINE.attention_rows(IDS, layer) for layer in range(LAYERS)])  # (L, H, T, T)


def captured(budget: CaptureBudget | None = None) -> Capture:
    """As a run fills it: event by event."""
    capture = Capture(LAYERS, HEADS, budget or CaptureBudget(10**9))
    fed = 0
    for event in ENGINE.stream(IDS[:20], GREEDY, 0, attention=range(LAYERS)):
        capture.add(fed, [event])
        fed += event.fed
    return capture


def rebuilt() -> Capture:
    capture = Capture(LAYERS, HEADS, CaptureBudget(10**9))
    capture.rebuild(ENGINE, IDS)
    return capture


WHOLE = rebuilt()


def shown(view: MapView, capture: Capture = WHOLE, stop: int = N) -> np.ndarray:
    rows = map_rows(capture, view, 0, stop)
    assert rows is not None
    out = np.zeros((stop, stop))
    for i, row in enumerate(rows):
        assert row.shape == (i + 1,)
        out[i, : i + 1] = (row / 255.0) ** 2 if view.plain else to_weights(row)
    return out


def rollout() -> np.ndarray:
    """R_l = (A_l / 2 + I / 2) R_l-1, straight from the paper."""
    flow = np.eye(N)
    for layer in TRUE.mean(axis=1):
        flow = (layer / 2 + np.eye(N) / 2) @ flow
    return flow


def by_values(layer: int, head: int) -> np.ndarray:
    """Every written vector spelled out: A_ij times W times v_j, its length, as shares of a row."""
    values = {}

    def attend(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, at: int) -> torch.Tensor:
        values[at] = v[0]
        return causal_attention(q, k, v)

    with torch.no_grad():
        ENGINE.model(torch.tensor([IDS]), attend=attend)
        projection = ENGINE.model.h[layer].attn.c_proj.weight
        width = CONFIG.hidden_dimension
        written = values[layer][head] @ projection[:, head * width : (head + 1) * width].T
    lengths = TRUE[layer, head] * written.norm(dim=-1).numpy()
    return lengths / lengths.sum(axis=-1, keepdims=True)


TRUTH = {
    "head": TRUE[1, 2],
    "value": by_values(1, 2),
    "mean": TRUE[1].mean(axis=0),
    "max": TRUE[1].max(axis=0),
    "all_mean": TRUE.mean(axis=(0, 1)),
    "all_max": TRUE.max(axis=(0, 1)),
    "rollout": rollout(),
}


@pytest.mark.parametrize("mode", MODES)
def test_a_map_is_what_its_name_says(mode) -> None:
    view = MapView(layer=1, head=2, mode=mode)
    found = shown(view)
    np.testing.assert_allclose(found, TRUTH[mode], atol=0.012)
    if not view.plain:
        np.testing.assert_allclose(found.sum(axis=-1), 1, atol=1e-5)


def test_live_rows_are_those_of_a_full_pass() -> None:
    live, full = captured(), WHOLE
    for i, (a, b) in enumerate(zip(live.rows(0, 20) or [], full.rows(0, 20) or [], strict=True)):
        assert a.shape == (LAYERS, HEADS, i + 1)
        assert abs(a.astype(int) - b).max() <= 1
    for layer, head in np.ndindex(LAYERS, HEADS):
        np.testing.assert_allclose(
            live.norms(20, layer, head), full.norms(20, layer, head), rtol=1e-4
        )


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("start", [0, 7, N - 1])
def test_any_part_of_a_map_is_the_same_part(mode, start: int) -> None:
    view = MapView(0, 1, mode)
    part, all_of_it = map_rows(rebuilt(), view, start, N), map_rows(WHOLE, view, 0, N)
    for a, b in zip(part or [], (all_of_it or [])[start:], strict=True):
        assert abs(a.astype(int) - b).max() <= 1


def test_rows_that_are_missing_are_rebuilt_not_invented() -> None:
    capture = captured()
    assert map_rows(capture, MapView(), 0, N) is None
    assert map_rows(capture, MapView(mode="rollout"), 0, N) is None
    capture.rebuild(ENGINE, IDS)
    assert len(map_rows(capture, MapView(mode="rollout"), 0, N) or []) == N
    before = Capture(LAYERS, HEADS, CaptureBudget(10**9))
    for event in ENGINE.stream(IDS[:3], GREEDY, 2, attention=[0]):  # nobody watched the other
        before.add(3, [event])
    assert before.rows(0, 4) is None


def test_memory_stays_within_the_budget_and_the_newest_survive() -> None:
    budget = CaptureBudget(10 * rebuilt().size_bytes)
    captures = [captured(budget) for _ in range(30)]
    for capture in captures:
        capture.rebuild(ENGINE, IDS)
    assert budget.total <= budget.limit
    assert [c.rows(0, N) is not None for c in captures] == [False] * 20 + [True] * 10
    map_rows(captures[-1], MapView(mode="rollout"), 0, N)  # a rollout takes room too
    assert budget.total <= budget.limit
    assert captures[-10].rows(0, N) is None
    assert captures[-1].rows(0, N) is not None
    budget.forget(captures[-1])
    assert captures[-1].rows(0, N) is None


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("mean.1.2", MapView(1, 2, "mean")),
        ("mean", MapView(1, 0, "mean")),
        ("", MapView(1)),
        ("x.-4.1000000000", MapView(1)),
        ("head.\u0660.0.7", MapView(0, 0)),
        ("head.9.9", MapView(1)),
    ],
)
def test_a_view_is_one_there_is_whatever_is_asked(asked: str, found: MapView) -> None:
    assert parsed_view(asked, MapView(1), LAYERS, HEADS) == found


@examples(60)
@given(count=st.integers(1, N), bins=st.integers(3, 12))
def test_rows_pooled_one_by_one_make_the_pooled_map(count: int, bins: int) -> None:
    """As assets/panel/store/atlas_store.js does: halve what is there whenever the pool doubles."""
    rows = WHOLE.rows(0, count) or []
    pool, side = 1, np.zeros((LAYERS, HEADS, bins, 1 + bins), np.uint8)
    for row in rows:
        while pool < pool_for(row.shape[-1], bins):
            pool *= 2
            first = np.maximum(side[..., ::2, :1], _odd(side[..., 1::2, :1], side[..., ::2, :1]))
            rest = side[..., 1:]
            rest = np.maximum(rest[..., ::2, :], _odd(rest[..., 1::2, :], rest[..., ::2, :]))
            rest = np.maximum(rest[..., ::2], _odd(rest[..., 1::2], rest[..., ::2], axis=-1))
            side = np.zeros_like(side)
            side[..., : first.shape[-2], :1] = first
            side[..., : rest.shape[-2], 1 : 1 + rest.shape[-1]] = rest
        small = pooled_rows([row], pool)[0]
        y = (row.shape[-1] - 1) // pool
        part = side[..., y, : small.shape[-1]]
        np.maximum(part, small, out=part)
    m = -(-count // pool)
    np.testing.assert_array_equal(side[..., :m, : 1 + m], pooled_map(rows, bins))
    assert len(packed_rows(rows[-1:], bins)) == -(-LAYERS * HEADS * (1 + m) // 2)


def _odd(odd: np.ndarray, even: np.ndarray, axis: int = -2) -> np.ndarray:
    """The odd rows, filled up to as many as there are even ones."""
    missing = even.shape[axis] - odd.shape[axis]
    width = [(0, 0)] * odd.ndim
    width[axis] = (0, missing)
    return np.pad(odd, width)


def test_a_thumbnail_keeps_the_largest_and_tells_the_first_token_apart() -> None:
    row = (WHOLE.rows(9, 10) or [])[0]
    small = pooled_rows([row], 4)[0]
    assert small.shape == (LAYERS, HEADS, 1 + 3)
    weights = to_weights(row)
    np.testing.assert_allclose((small[..., 0] / 15) ** 2, weights[..., 0], atol=0.07)
    rest = row[..., 1:].max(axis=-1) / 17
    assert abs(small[..., 1:].max(axis=-1) - rest).max() <= 0.6


def test_nibbles_are_packed_high_half_first() -> None:
    assert pack_nibbles(np.array([[1, 2, 15]], np.uint8)) == bytes([0x12, 0xF0])
    assert (bins_for(144), bins_for(1200)) == (32, 20)


def test_a_run_nobody_watches_keeps_nothing() -> None:
    events = list(ENGINE.stream(IDS[:9], SamplingOptions(seed=1), 4, attention=range(0)))
    assert all(not event.attention and not event.norms for event in events)
