"""float32 and float16: every matrix laid out for its kernel, one tensor at a time."""

from __future__ import annotations

from pathlib import Path

from gpt2.checkpoint import empty_model, open_weights
from gpt2.config import GPT2Config
from gpt2.model import GPT2Model
from gpt2.precision.modules import State, linears, set_module, state_of
from gpt2.quantization import (
    Float16Linear,
    Float16TokenEmbedding,
    Float32Linear,
    Float32TokenEmbedding,
)

Twins = (
    tuple[type[Float32Linear], type[Float32TokenEmbedding]]
    | tuple[type[Float16Linear], type[Float16TokenEmbedding]]
)
FLOAT32: Twins = (Float32Linear, Float32TokenEmbedding)
FLOAT16: Twins = (Float16Linear, Float16TokenEmbedding)


def load_float32(folder: Path) -> GPT2Model:
    """The model in `folder`, no number rounded. Raises CheckpointError."""
    with open_weights(folder) as weights:
        return assemble(weights.config, weights.state, FLOAT32)


def load_float16(folder: Path) -> GPT2Model:
    """The model in `folder` with float16 weights. Raises CheckpointError."""
    with open_weights(folder) as weights:
        return assemble(weights.config, weights.state, FLOAT16)


def float32_model(model: GPT2Model) -> GPT2Model:
    """A packed twin of a model in memory."""
    return assemble(model.config, state_of(model), FLOAT32)


def float16_model(model: GPT2Model) -> GPT2Model:
    """A float16 twin of a float32 model in memory."""
    return assemble(model.config, state_of(model), FLOAT16)


def assemble(config: GPT2Config, state: State, twins: Twins) -> GPT2Model:
    """The model whose matrices are `twins`, from the float32 weights that `state` reads."""
    model = empty_model(config)
    linear, embedding = twins
    set_module(model, "wte", embedding(state("wte.")["weight"]))
    for name in linears(model):
        float32 = state(f"{name}.")
        set_module(model, name, linear(float32["weight"], float32["bias"]))
    # What is left are norms and positions, which stay as they are.
    plain = {name: state(name)[""] for name in model.state_dict()}
    model.load_state_dict(plain, strict=True, assign=True)
    return model.eval().requires_grad_(False)
