"""The compiled pass in every precision, against transformers with hooks.

What must hold exactly in any precision (the control, the last stage, the sum) is asked exactly;
what depends on the numbers is held to what these numbers cost, as a share of the largest logit.
Measured on Tiny and Mini: 5e-7, 3e-4, 5e-3 and 8e-2.
"""

from __future__ import annotations

import numpy as np
import pytest
from safetensors.torch import save_file

from gpt2 import Engine, GPT2Config, load
from tests.hub_standin import config_text
from tests.interpret.hooked import Pair, heads_of, pair, stream_of, without_heads

from ..reference import random_checkpoint, theirs

PRECISIONS = ("float32", "float16", "int8", "int4")
# Of the largest logit, by which a number may be off; how many of the lens's guesses are the
# reference's; by how much their probabilities may be off.
COSTS = {"float32": 2e-6, "float16": 1e-3, "int8": 0.01, "int4": 0.15}
AGREEING = {"float32": 0.99, "float16": 0.99, "int8": 0.97, "int4": 0.6}  # of random weights .66
OFF = {"float32": 1e-5, "float16": 2e-3, "int8": 0.03, "int4": 0.3}
FULL = GPT2Config()  # 124M


@pytest.fixture(
    params=["tiny", "mini", pytest.param("124M", marks=pytest.mark.nightly)], scope="module"
)
def both(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, Pair]:
    """What to load, and the reference with the same weights."""
    if request.param != "124M":
        return request.param, pair(request.param)
    folder = tmp_path_factory.mktemp("full")
    checkpoint = random_checkpoint(FULL, seed=3)
    stored = {name: each.clone() for name, each in checkpoint.items()}
    save_file(stored, folder / "model.safetensors")
    (folder / "config.json").write_text(config_text(FULL))
    reference = theirs(FULL, checkpoint).requires_grad_(False)
    return str(folder), Pair(load(str(folder)), reference)


@pytest.fixture(params=PRECISIONS)
def engine(request: pytest.FixtureRequest, both: tuple[str, Pair]) -> Engine:
    """The compiled pass."""
    engine = load(both[0], request.param)
    assert engine.precision == request.param
    return engine


def cost(engine: Engine, logits: np.ndarray) -> float:
    return COSTS[engine.precision] * float(np.abs(logits).max())


def test_the_lens_is_theirs_and_ends_with_the_output(
    engine: Engine, both: tuple[str, Pair]
) -> None:
    own, ids = both[1], both[1].ids()
    found = engine.lens(ids)
    logits = engine.logits(ids)
    assert found.guess[:, -1].tolist() == logits.argmax(-1).tolist()
    assert found.deviation <= cost(engine, logits)
    stream = stream_of(own, ids)
    readout = engine.readout.logits(stream.astype(np.float32))
    exact = np.exp(readout - readout.max(-1, keepdims=True))
    best = 1 / exact.sum(-1)
    agree = found.guess == readout.argmax(-1)
    assert agree.mean() >= AGREEING[engine.precision]
    off = np.abs(found.probability - best)[agree]
    assert off.max() <= OFF[engine.precision]


def test_shares_are_theirs_and_sum_to_the_difference(
    engine: Engine, both: tuple[str, Pair]
) -> None:
    own, ids = both[1], both[1].ids()
    found = engine.attribution(ids, token=7, against=100)
    logits = engine.logits(ids)[-1]
    assert found.true == pytest.approx(float(logits[7]) - float(logits[100]), abs=1e-5)
    # The head is packed too, and is the one part of the way that the sum does not go.
    assert abs(found.error) <= (1e-4 if engine.precision == "float32" else cost(engine, logits))
    outputs = heads_of(own, ids)[-1]
    stream = stream_of(own, ids)[-1, -1].astype(np.float64)
    readout = engine.readout
    towards = (readout.embedding[7] - readout.embedding[100]).astype(np.float64) * readout.gain
    direction = (towards - towards.mean()) / np.sqrt(stream.var() + readout.epsilon)
    for layer in range(own.config.num_blocks):
        split = readout.projections[layer].reshape(len(direction), own.config.num_heads, -1)
        expected = np.einsum("c,chd,hd->h", direction, split, outputs[layer])
        np.testing.assert_allclose(found.heads[layer], expected, atol=cost(engine, logits))


def test_without_a_layers_heads_its_bias_alone_is_left(
    engine: Engine, both: tuple[str, Pair]
) -> None:
    own, ids = both[1], both[1].ids()
    heads = [(1, head) for head in range(own.config.num_heads)]
    found = engine.effects(ids, 7, heads=heads)
    assert found.control == 0
    without = without_heads(own, ids, dict.fromkeys(heads))[-1]
    on = own.logits(ids)[-1]
    limit = 2 * cost(engine, on)
    assert found.joint_logits[1] == pytest.approx(float(without[7]) - float(on[7]), abs=limit)
    head = heads[0]
    alone = without_heads(own, ids, {head: None})[-1]
    assert found.logits[head] == pytest.approx(float(alone[7]) - float(on[7]), abs=limit)


def test_patching_ends_at_the_two_prompts(engine: Engine, both: tuple[str, Pair]) -> None:
    ids = both[1].ids()
    other = [*ids[:5], (ids[5] + 1) % 300, *ids[6:]]
    found = engine.patching(ids, other, 7, 100)
    assert found.control == 0
    assert (found.restored[:, :5] == 0).all()
    assert found.restored[0, 5] == pytest.approx(1)  # the embedding is all that differs
