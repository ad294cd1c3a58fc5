"""float16: every matrix packed in half the bytes, one tensor at a time."""

from __future__ import annotations

from pathlib import Path

from gpt2.checkpoint import empty_model, open_weights
from gpt2.config import GPT2Config
from gpt2.model import GPT2Model
from gpt2.precision.modules import State, linears, set_module, state_of
from gpt2.quantization import Float16Linear, Float16TokenEmbedding


def load_float16(folder: Path) -> GPT2Model:
    """The model in `folder` with float16 weights. Raises CheckpointError."""
    with open_weights(folder) as weights:
        return _assemble(weights.config, weights.state)


def float16_model(model: GPT2Model) -> GPT2Model:
    """A twin of a float32 model in memory."""
    return _assemble(model.config, state_of(model))


def _assemble(config: GPT2Config, state: State) -> GPT2Model:
    model = empty_model(config)
    set_module(model, "wte", Float16TokenEmbedding(state("wte.")["weight"]))
    for name in linears(model):
        float32 = state(f"{name}.")
        set_module(model, name, Float16Linear(float32["weight"], float32["bias"]))
    # What is left are norms and positions, which stay float32.
    plain = {name: state(name)[""] for name in model.state_dict()}
    model.load_state_dict(plain, strict=True, assign=True)
    return model.eval().requires_grad_(False)
