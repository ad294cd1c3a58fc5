"""Random models of odd and of usual shapes, packed and readable."""

from __future__ import annotations

from functools import cache

import numpy as np
import torch

from gpt2.config import GPT2Config
from gpt2.cpu import CompiledExecutor, State, executor_of
from gpt2.model import GPT2Model

# Widths that fill blocks and such that do not; one or several tiles of keys; heads of 64.
ODD = GPT2Config(
    vocab_size=53,
    embedding_dimension=36,
    num_heads=3,
    hidden_dimension=12,
    num_blocks=2,
    max_seq_len=70,
)
USUAL = GPT2Config(
    vocab_size=131,
    embedding_dimension=128,
    num_heads=2,
    hidden_dimension=64,
    num_blocks=2,
    max_seq_len=128,
)
SHAPES = {"odd": ODD, "usual": USUAL}


@cache
def readable(config: GPT2Config, outliers: bool = False) -> GPT2Model:
    """Wide random weights, so that heads look at different things."""
    random = torch.Generator().manual_seed(3)
    model = GPT2Model.from_config(config)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "ln_" in name and name.endswith("weight"):
                parameter.add_(torch.randn(parameter.shape, generator=random) * 0.1)
            else:
                parameter.normal_(0, 0.15, generator=random)
        if outliers:
            for table in (model.wte.weight, model.wpe.weight):
                table[:, [3, 11]] *= 80
    return model.eval().requires_grad_(False)


def state_of(model: GPT2Model) -> State:
    tensors = {name: tensor.numpy() for name, tensor in model.state_dict().items()}

    def state(prefix: str) -> dict[str, np.ndarray]:
        return {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}

    return state


def executor(
    config: GPT2Config,
    precision: str,
    threads: int = 2,
    slots: int = 4,
    outliers: bool = False,
) -> CompiledExecutor:
    state = state_of(readable(config, outliers))
    return executor_of(config, state, precision, threads, slots)


def text_ids(config: GPT2Config, length: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, config.vocab_size, length)
