"""float32 and float16 on a GPU: read on the CPU, moved over tensor by tensor."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from gpt2.checkpoint import open_weights
from gpt2.model import GPT2Model
from gpt2.precision.modules import State
from gpt2.precision.packed import FLOAT16, FLOAT32, Twins, assemble
from gpt2.runtime.device import GPU


def load_gpu_float32(folder: Path) -> GPT2Model:
    """The model in `folder`, no number rounded. Raises CheckpointError."""
    return _load(folder, FLOAT32)


def load_gpu_float16(folder: Path) -> GPT2Model:
    """The model in `folder` with float16 weights. Raises CheckpointError."""
    return _load(folder, FLOAT16)


def _load(folder: Path, twins: Twins) -> GPT2Model:
    with open_weights(folder) as weights:
        model = assemble(weights.config, _moved(weights.state), twins)
    return model.to(GPU)  # waves of positions are computed, not loaded


def _moved(state: State) -> State:
    """The same weights, on the GPU."""

    def on_gpu(prefix: str) -> dict[str, Tensor]:
        return {name: tensor.to(GPU) for name, tensor in state(prefix).items()}

    return on_gpu
