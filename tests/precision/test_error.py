"""Every precision stays near float32, also for checkpoints made to be hard on it.

Both are the built-in model in another guise: the same function, other numbers inside.
"""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from gpt2 import GPT2Model
from gpt2.checkpoint import load_model
from gpt2.precision import float16_model, float32_model, int8_model
from gpt2.precision.error import error
from gpt2.runtime.assets_folder import ASSETS

MODEL = load_model(ASSETS / "tiny")
PRECISIONS: dict[str, tuple[Callable[[GPT2Model], GPT2Model], float]] = {
    "int8": (int8_model, 1e-3),
    "float32": (float32_model, 1e-6),
    "float16": (float16_model, 1e-4),
}


@pytest.fixture(scope="module")
def ids() -> Tensor:
    """Four texts the model wrote itself."""
    start = torch.full((4, 1), MODEL.config.vocab_size - 1)
    return MODEL.generate(start, 150, temperature=1.0, seed=5)


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
@pytest.mark.parametrize("precision", PRECISIONS)
def test_predictions_stay_near(checkpoint: str, precision: str, ids: Tensor) -> None:
    model = CHECKPOINTS[checkpoint]()
    twin, bound = PRECISIONS[precision]
    found = error(MODEL, twin(model), ids)
    print(checkpoint, precision, found)
    assert found.divergence < bound
    assert found.agreement > 0.95


@pytest.mark.parametrize("checkpoint", CHECKPOINTS)
def test_the_hard_checkpoints_are_the_same_function(checkpoint: str, ids: Tensor) -> None:
    model = CHECKPOINTS[checkpoint]()
    assert error(MODEL, model, ids).divergence < 1e-6
    logits = model(ids)
    assert (checkpoint == "shifted") == (logits.mean() < -80)


def test_without_its_outlier_channels_int8_would_fail(
    ids: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gpt2.quantization.int8_weights._OUTLIER", torch.inf)
    assert error(MODEL, int8_model(with_outliers()), ids).divergence > 0.05
