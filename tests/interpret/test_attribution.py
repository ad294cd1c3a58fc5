"""Direct logit attribution against transformers' own parts, worked out in float64."""

from __future__ import annotations

import numpy as np
import pytest

from gpt2 import load
from gpt2.interpret.attribution import pair as tokens_of
from gpt2.interpret.reading import Stopped
from tests.interpret.hooked import NAMES, heads_of, pair, stream_of

from ..small import small_engine


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("position", [0, 6, -1])
def test_every_part_is_theirs_and_they_sum_to_the_difference(name: str, position: int) -> None:
    own = pair(name)
    ids = own.ids()
    found = own.engine.attribution(ids, position, token=7, against=100)
    assert abs(found.error) < 1e-4
    assert abs(found.rounding) < 1e-4
    logits = own.logits(ids)[position]
    assert found.true == pytest.approx(logits[7] - logits[100], abs=1e-4)

    model = own.reference.transformer
    stream = stream_of(own, ids)[position].astype(np.float64)
    last = stream[-1]
    gain, bias = (each.numpy().astype(np.float64) for each in (model.ln_f.weight, model.ln_f.bias))
    scale = np.sqrt(last.var() + model.ln_f.eps)
    head = own.reference.lm_head.weight.numpy().astype(np.float64)

    def share(part: np.ndarray) -> np.ndarray:
        normed = (part - part.mean(-1, keepdims=True)) / scale * gain
        return normed @ (head[7] - head[100])

    at = position % len(ids)
    assert found.scale == pytest.approx(scale)
    assert found.embedding == pytest.approx(share(head[ids[at]]), abs=1e-5)
    assert found.position_embedding == pytest.approx(share(model.wpe.weight[at].numpy()), abs=1e-5)
    assert found.final_bias == pytest.approx(bias @ (head[7] - head[100]), abs=1e-5)
    np.testing.assert_allclose(found.accumulated, share(stream), atol=1e-4)
    np.testing.assert_allclose(found.mlps, share(stream[2::2] - stream[1:-1:2]), atol=1e-4)
    mixed = heads_of(own, ids)[position].astype(np.float64)  # (L, H, D)
    width = own.config.hidden_dimension
    for layer, block in enumerate(model.h):
        weight = block.attn.c_proj.weight.numpy().astype(np.float64)  # (in, out)
        bias_share = share(block.attn.c_proj.bias.numpy())
        assert found.attention_biases[layer] == pytest.approx(bias_share, abs=1e-5)
        for number in range(own.config.num_heads):
            rows = weight[number * width : (number + 1) * width]
            expected = share(mixed[layer, number] @ rows)
            assert found.heads[layer, number] == pytest.approx(expected, abs=1e-4)
            start = 2 * own.config.embedding_dimension + number * width
            value_bias = block.attn.c_attn.bias.numpy()[start : start + width]
            constant = share(value_bias @ rows)
            assert found.constants[layer, number] == pytest.approx(constant, abs=1e-5)


@pytest.mark.parametrize("precision", ["float32", "float16", "int8", "int4"])
def test_in_every_precision_the_sum_is_the_true_difference(precision: str) -> None:
    """What packed weights cost is a part of its own."""
    engine = load("tiny", precision)
    ids = engine.encode("Once upon a time there was a king who")
    found = engine.attribution(ids)
    logits = engine.logits(ids)[-1]
    assert found.precision == engine.precision
    assert found.true == pytest.approx(float(logits[found.token] - logits[found.against]), abs=1e-6)
    limit = {"float32": 1e-4, "float16": 0.05}.get(engine.precision, 1.0)
    assert abs(found.error) < limit
    assert abs(found.rounding) < limit


def test_a_head_that_is_off_adds_nothing_and_the_sum_is_still_true() -> None:
    own = pair("odd")
    found = own.engine.attribution(own.ids(), off=[(1, 2), (0, 0)])
    assert found.heads[1, 2] == found.heads[0, 0] == 0
    assert (found.heads != 0).sum() == found.heads.size - 2
    assert abs(found.error) < 1e-4


def test_a_head_that_is_replaced_adds_what_stands_in() -> None:
    own = pair("odd")
    means = own.engine.head_means(own.ids(), [(1, 2)])
    found = own.engine.attribution(own.ids(), off=means)
    assert found.heads[1, 2] != own.engine.attribution(own.ids()).heads[1, 2]
    assert abs(found.error) < 1e-4


def test_swapped_positions_are_told_as_they_are() -> None:
    own = pair("odd")
    swapped = own.engine.attribution(own.ids(), position=0, token=7, against=9, swapped=(0, 4))
    assert abs(swapped.error) < 1e-4
    assert abs(swapped.rounding) < 1e-4


def test_the_likeliest_stands_against_the_next_one() -> None:
    engine = small_engine()
    found = engine.attribution([1, 2, 3])
    order = engine.logits([1, 2, 3])[-1].argsort()[::-1]
    assert (found.token, found.against) == (order[0], order[1])
    assert found.true > 0
    assert engine.attribution([1, 2, 3], against=int(order[0])).token == order[1]


@pytest.mark.parametrize(
    ("token", "against", "message"),
    [(400, None, "not in a vocabulary"), (1, -1, "not in a vocabulary"), (3, 3, "against itself")],
)
def test_tokens_that_make_no_difference_are_refused(
    token: int, against: int | None, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        tokens_of(np.zeros(400, np.float32), token, against)


def test_a_stop_ends_it() -> None:
    with pytest.raises(Stopped):
        small_engine().attribution([1, 2, 3], stopped=lambda: True)


@pytest.mark.parametrize("position", [3, -4])
def test_a_position_outside_is_refused(position: int) -> None:
    with pytest.raises(ValueError, match="Position must be from 0 to 2"):
        small_engine().attribution([1, 2, 3], position)
