"""Every executor stays near the readable model in float32, also for checkpoints that are hard.

Both are the built-in model in another guise: the same function, other numbers inside.
"""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch

from gpt2 import Engine, GPT2Model, Tokenizer
from gpt2.bench.divergence import divergence
from gpt2.checkpoint import load_model
from gpt2.inference.torch_executor import halve
from gpt2.runtime.assets_folder import ASSETS
from tests.compiled import compiled_engine

MODEL = load_model(ASSETS / "tiny")
TOKENIZER = Tokenizer(MODEL.config.vocab_size)
REFERENCE = Engine.from_model(MODEL, TOKENIZER)
# By name, what makes an engine of a model in memory, and the largest mean divergence.
ENGINES: dict[str, tuple[Callable[[GPT2Model], Engine], float]] = {
    "float32 by torch": (lambda model: Engine.from_model(model, TOKENIZER), 1e-6),
    "float16 by torch": (
        lambda model: Engine.from_model(halve(copy.deepcopy(model)), TOKENIZER),
        1e-4,
    ),
    **{
        f"{precision}, compiled": (
            lambda model, precision=precision: compiled_engine(model, precision, TOKENIZER),
            bound,
        )
        for precision, bound in {"float32": 1e-6, "float16": 1e-4, "int8": 1e-3}.items()
    },
}


@pytest.fixture(scope="module")
def texts() -> list[list[int]]:
    """Four that the model wrote itself."""
    start = torch.full((4, 1), MODEL.config.vocab_size - 1)
    ids: list[list[int]] = MODEL.generate(start, 150, temperature=1.0, seed=5).tolist()
    return ids


def shifted() -> GPT2Model:
    """All logits 100 lower, as real GPT-2 has them; softmax does not see it.

    What a layer norm puts out has mean 0 before its weights and biases, so there is a direction in
    which all hidden states are equal. Tokens get it added, positions subtracted.
    """
    model = copy.deepcopy(MODEL)
    direction = 1 / model.ln_f.weight
    direction *= -100 / (model.ln_f.bias * direction).sum()
    model.wte.weight += direction
    model.wpe.weight -= direction
    return model


def with_outliers(factor: float = 80.0) -> GPT2Model:
    """A few channels enter the linears 80 times as large, and count for an 80th there."""
    model = copy.deepcopy(MODEL)
    channels = [5, 40, 77]
    width = model.config.embedding_dimension
    for block in model.h:
        for norm, linear in ((block.ln_1, block.attn.c_attn), (block.ln_2, block.mlp.c_fc)):
            norm.weight[channels] *= factor
            norm.bias[channels] *= factor
            linear.weight[:, channels] /= factor
        values = [2 * width + channel for channel in channels]
        block.attn.c_attn.weight[values] *= factor
        block.attn.c_attn.bias[values] *= factor
        block.attn.c_proj.weight[:, channels] /= factor
    return model


CHECKPOINTS = {"as shipped": lambda: MODEL, "shifted": shifted, "outliers": with_outliers}


@pytest.mark.parametrize("checkpoint", CHECKPOINTS)
@pytest.mark.parametrize("name", ENGINES)
def test_predictions_stay_near(checkpoint: str, name: str, texts: list[list[int]]) -> None:
    engine_of, bound = ENGINES[name]
    found = divergence(REFERENCE, engine_of(CHECKPOINTS[checkpoint]()), texts)
    print(checkpoint, name, found)
    assert 0 <= found.mean < bound
    assert found.agreement > 0.95
    assert abs(found.loss) < 0.003


def test_the_shifted_checkpoint_has_logits_as_low_as_the_real_ones(texts: list[list[int]]) -> None:
    low = Engine.from_model(shifted(), TOKENIZER).logits(texts[0])
    assert low.mean() < -80 < REFERENCE.logits(texts[0]).mean()


def test_another_function_is_noticed(texts: list[list[int]]) -> None:
    other = copy.deepcopy(MODEL)
    other.wte.weight *= 0.9
    found = divergence(REFERENCE, Engine.from_model(other, TOKENIZER), texts)
    assert found.mean > 1e-3
    assert found.largest_change > 0.01
    assert found.loss > 0.001
