"""Models in memory behind the compiled pass."""

from __future__ import annotations

import numpy as np

from gpt2 import Engine, GPT2Model, Tokenizer
from gpt2.cpu import CompiledExecutor, executor_of
from gpt2.engine import EXECUTOR_SLOTS, schedule


def compiled_executor(model: GPT2Model, precision: str, slots: int) -> CompiledExecutor:
    """The model, packed in `precision`, with two threads."""
    tensors = {name: tensor.numpy() for name, tensor in model.state_dict().items()}

    def state(prefix: str) -> dict[str, np.ndarray]:
        return {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}

    return executor_of(model.config, state, precision, 2, slots)


def compiled_engine(model: GPT2Model, precision: str, tokenizer: Tokenizer | None = None) -> Engine:
    """An engine of it."""
    executor = compiled_executor(model, precision, EXECUTOR_SLOTS)
    own = tokenizer or Tokenizer(model.config.vocab_size)
    return Engine(schedule(executor), own, lambda: model)
