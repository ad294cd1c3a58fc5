"""Which precisions there are, and which one suits this machine."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from gpt2.apart import apart
from gpt2.config import GPT2Config
from gpt2.model import GPT2Model
from gpt2.precision.int8 import load_int8
from gpt2.precision.packed import load_float16, load_float32
from gpt2.quantization import has_int8_kernel

AUTO = "auto"

PRECISIONS: dict[str, Callable[[Path], GPT2Model]] = {
    "float32": load_float32,  # the reference: nothing is rounded
    "float16": load_float16,
    "int8": load_int8,
}

# Below this, reading the weights is not what takes the time.
_WORTH_IT = 50_000_000


def choose_precision(precision: str, config: GPT2Config) -> str:
    """The precision that `precision` stands for: `auto` takes int8 where it pays, else float32.

    It pays for models of 50 million parameters and more where torch has the kernel (x86). Raises
    ValueError, which lists the names, for any other name.
    """
    if precision == AUTO:
        return "int8" if config.num_parameters > _WORTH_IT and has_int8_kernel() else "float32"
    if precision not in PRECISIONS:
        names = ", ".join([*PRECISIONS, AUTO])
        raise ValueError(f"precision must be one of {names}, not {precision!r}")
    return precision


def wanted_precision() -> str:
    """What the page loads models in: GPT2_PRECISION, or `auto`."""
    return os.environ.get("GPT2_PRECISION", AUTO)


def weight_bytes(config: GPT2Config, precision: str) -> int:
    """Memory of the weights; the embedding counts twice, as head and as table."""
    width = {"float32": 4, "float16": 2}.get(precision, 1)
    return width * (config.num_parameters + config.vocab_size * config.embedding_dimension)


@apart
def load_with_precision(folder: Path, precision: str) -> GPT2Model:
    """The model in `folder` with a precision from `PRECISIONS`. Raises CheckpointError."""
    return PRECISIONS[precision](folder)
