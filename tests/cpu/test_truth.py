"""How far precisions are from float32 on held-out text and on shapes of public size."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from gpt2 import Tokenizer
from gpt2.checkpoint import load_model
from gpt2.config import GPT2Config
from gpt2.cpu import executor_of
from gpt2.model import GPT2Model
from gpt2.precision import INT4_DIVERGENCE
from tests.cpu.models import state_of

ROOT = Path(__file__).parent.parent.parent
# Mean divergence in nats that is allowed, on the stories in the golden folder.
MOST = {"float16": 1e-6, "int8": 3e-4, "int4": 8e-2}


def changes(model: GPT2Model, precision: str, texts: np.ndarray) -> tuple[float, float]:
    """Mean divergence from float32 in nats, and the largest change of a probability."""
    width = texts.shape[1]
    made = executor_of(model.config, state_of(model), precision, 2, 1)
    place = np.arange(width)
    divergences, largest = [], 0.0
    for ids in texts:
        p = model(torch.tensor(ids)[None])[0].double().log_softmax(-1)
        logits = made.run(ids, place, 0 * place, place).logits
        q = torch.tensor(logits).double().log_softmax(-1)
        divergences.append(float((p.exp() * (p - q)).sum(-1).mean()))
        largest = max(largest, float((p.exp() - q.exp()).abs().max()))
    return float(np.mean(divergences)), largest


@pytest.mark.parametrize("precision", MOST)
@pytest.mark.parametrize("size", ["tiny", "mini"])
def test_on_held_out_stories(size: str, precision: str) -> None:
    model = load_model(ROOT / "assets" / size)
    text = (ROOT / "tests" / "golden" / "stories.txt").read_text("utf-8")
    ids = np.array(Tokenizer(model.config.vocab_size).encode(text))
    texts = ids[: len(ids) // 512 * 512].reshape(-1, 512)
    divergence, largest = changes(model, precision, texts)
    print(f"{size} {precision}: {divergence:.1e} nats, largest change {largest:.3f}")
    assert divergence < MOST[precision]
    if (size, precision) == ("mini", "int4"):
        assert round(divergence, 2) == INT4_DIVERGENCE  # what stands beside a model's name


def public_shape(kind: str) -> tuple[GPT2Model, np.ndarray]:
    """Four layers of 124M's shape with random weights; `kind` says what is made hard about them."""
    torch.manual_seed(1)
    model = GPT2Model.from_config(GPT2Config(num_blocks=4)).eval().requires_grad_(False)
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            parameter.normal_(0, 0.02)
        elif "ln_" in name:
            parameter.add_(torch.randn_like(parameter) * 0.05)
    if kind == "outliers":  # as real GPT-2 has them
        for table in (model.wte.weight, model.wpe.weight):
            table[:, [7, 100]] *= 80
    if kind == "far":  # real logits lie near -100
        common = torch.full((768,), 2.0)
        model.ln_f.bias += common
        model.wte.weight -= 100 * common / (common @ common)
    return model, np.random.default_rng(0).integers(0, 50257, (1, 256))


@pytest.mark.nightly
@pytest.mark.parametrize(("kind", "most"), [("plain", 5e-4), ("outliers", 1e-3), ("far", 1e-3)])
def test_on_a_public_shape(kind: str, most: float) -> None:
    model, texts = public_shape(kind)
    divergence, largest = changes(model, "int8", texts)
    print(f"{kind}: {divergence:.1e} nats, largest change {largest:.3f}")
    assert divergence < most
