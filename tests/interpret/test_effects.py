"""Heads switched off, against transformers with hooks; and the control that must be exactly 0."""

from __future__ import annotations

import numpy as np
import pytest

from gpt2 import load
from gpt2.interpret.effects import Effects
from tests.interpret.hooked import NAMES, heads_of, pair, without_heads

from ..small import small_engine, together


def lead(logits: np.ndarray, token: int, against: int) -> float:
    return float(logits[-1, token]) - float(logits[-1, against])


@pytest.mark.parametrize("everywhere", [True, False], ids=["everywhere", "at-the-last"])
@pytest.mark.parametrize("instead", ["zero", "mean", "bias"])
@pytest.mark.parametrize("name", ["tiny", "odd", "wide"])
def test_every_head_s_effect_is_theirs(name: str, instead: str, everywhere: bool) -> None:
    own = pair(name)
    ids = own.ids(10)
    found = own.engine.effects(ids, 7, 100, instead, everywhere=everywhere)  # type: ignore[arg-type]  # a parameter of the test
    first = 0 if everywhere else len(ids) - 1
    on = own.logits(ids)
    assert found.logit == pytest.approx(lead(on, 7, 100), abs=1e-4)
    outputs = heads_of(own, ids)

    def stand_in(layer: int, head: int) -> np.ndarray | None:
        if instead == "zero":
            return None
        if instead == "mean":
            return outputs[:, layer, head].mean(0)
        bias = own.reference.transformer.h[layer].attn.c_attn.bias.numpy()
        width, head_width = own.config.embedding_dimension, own.config.hidden_dimension
        return bias[2 * width + head * head_width :][:head_width]

    heads = list(np.ndindex(found.logits.shape))
    off = {head: stand_in(*head) for head in heads}
    for head in heads[:: 1 if name == "odd" else 5]:
        logits = without_heads(own, ids, {head: off[head]}, first)
        assert found.logits[head] == pytest.approx(lead(logits, 7, 100) - found.logit, abs=2e-4)
        exact = np.exp(logits[-1].astype(np.float64))
        expected = exact[7] / exact.sum() - found.probability
        assert found.probabilities[head] == pytest.approx(expected, abs=1e-5)
    everything = without_heads(own, ids, off, first)
    assert found.joint_logit == pytest.approx(lead(everything, 7, 100) - found.logit, abs=2e-4)
    for layer in range(own.config.num_blocks):
        of_layer = {head: output for head, output in off.items() if head[0] == layer}
        logits = without_heads(own, ids, of_layer, first)
        expected = lead(logits, 7, 100) - found.logit
        assert found.joint_logits[layer] == pytest.approx(expected, abs=2e-4)
    assert found.control == 0
    assert found.measured == found.logits.size


@pytest.mark.parametrize("name", NAMES)
def test_all_heads_of_a_layer_off_leave_the_bias_alone(name: str) -> None:
    own = pair(name)
    ids = own.ids()
    heads = [(1, head) for head in range(own.config.num_heads)]
    found = own.engine.effects(ids, 7, heads=heads)
    attention = own.reference.transformer.h[1].attn
    bias = attention.c_proj.bias

    def only_bias(_: object, inputs: object, output: tuple) -> tuple:
        return (bias.expand_as(output[0]), *output[1:])

    handle = attention.register_forward_hook(only_bias)
    try:
        logits = own.logits(ids)
    finally:
        handle.remove()
    assert found.joint_logits[1] == pytest.approx(logits[-1, 7] - found.logit, abs=1e-4)
    assert found.joint_logit == pytest.approx(found.joint_logits[1], abs=1e-6)


@pytest.mark.parametrize("precision", ["float32", "float16", "int8", "int4"])
@pytest.mark.parametrize("everywhere", [True, False])
def test_the_control_is_exactly_zero_in_every_precision(precision: str, everywhere: bool) -> None:
    engine = load("tiny", precision)
    ids = engine.encode("Once upon a time there was a king who had a daughter, and she")
    found = engine.effects(ids, heads=[(0, 1), (3, 2), (5, 0)], everywhere=everywhere)
    assert found.control == 0
    assert found.precision == engine.precision
    assert np.abs(found.logits[[0, 3, 5], [1, 2, 0]]).min() > 0  # and heads do have effects


def test_what_was_not_measured_is_nan() -> None:
    own = pair("odd")
    found = own.engine.effects(own.ids(), 7, heads=[(2, 1), (0, 0)])
    assert found.measured == 2
    assert np.isnan(found.logits).sum() == np.isnan(found.probabilities).sum() == 7
    assert np.isnan(found.joint_logits).tolist() == [False, True, False]
    assert set(found.ranked()) == {(2, 1), (0, 0)}
    assert found.sum_of_logits == pytest.approx(found.logits[2, 1] + found.logits[0, 0])


def test_heads_are_ranked_by_size_whatever_the_sign() -> None:
    found = small_engine().effects([5, 6, 7, 8])
    sizes = [abs(found.logits[head]) for head in found.ranked()]
    assert sizes == sorted(sizes, reverse=True)
    assert len(sizes) == 6


def test_a_stop_keeps_what_was_measured() -> None:
    own = pair("odd")
    done = 0

    def progress(count: int, of: int) -> None:
        nonlocal done
        done = count

    found = own.engine.effects(own.ids(), 7, stopped=lambda: done >= 5, progress=progress)
    assert 0 < found.measured < found.logits.size
    assert np.isnan(found.joint_logit)


def test_progress_counts_every_pass() -> None:
    told: list[tuple[int, int]] = []
    small_engine().effects([5, 6], progress=lambda done, of: told.append((done, of)))
    # 2 controls, 6 heads, 2 layers, all together.
    assert told == [(done, 11) for done in range(12)]


def test_a_text_that_somebody_writes_meanwhile_stays_the_same() -> None:
    own = pair("odd")
    alone, measured = own.engine.generate_ids([1, 2, 3], 30), own.engine.effects(own.ids(), 7)
    beside, again = together(
        lambda: own.engine.generate_ids([1, 2, 3], 30), lambda: own.engine.effects(own.ids(), 7)
    )
    assert beside == alone
    assert isinstance(again, Effects)
    assert np.array_equal(again.logits, measured.logits)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"instead": "nothing"}, "zero, mean, bias, not nothing"),
        ({"heads": [(0, 3)]}, "no head 0.3"),
        ({"heads": [(2, 0)]}, "no head 2.0"),
        ({"token": 400}, "not in a vocabulary"),
        ({"token": 4, "against": 4}, "against itself"),
        ({"position": 9}, "Position must be"),
    ],
)
def test_what_is_not_there_is_refused(changed: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        small_engine().effects([1, 2, 3], **changed)
