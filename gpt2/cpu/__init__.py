"""GPT-2's pass for CPUs, compiled from Python: see README.md and DETAILS.md in this folder.

`open_executor` is all that the rest of the project needs. Modules are imported when first used: the
process that compiles would else read PyTorch for nothing.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gpt2.config import GPT2Config
from gpt2.cpu.formats import FORMATS

if TYPE_CHECKING:
    from gpt2.cpu.compiler import Unavailable
    from gpt2.cpu.executor import CompiledExecutor
    from gpt2.cpu.packed import State

PRECISIONS = tuple(FORMATS)

__all__ = [
    "PRECISIONS",
    "CompiledExecutor",
    "State",
    "Unavailable",
    "executor_of",
    "open_executor",
]
_HOME = {"Unavailable": "compiler", "CompiledExecutor": "executor", "State": "packed"}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)


def open_executor(folder: Path, precision: str, threads: int, slots: int) -> CompiledExecutor:
    """The checkpoint in `folder`, packed in `precision`, behind the compiled pass.

    Packs the weights and compiles where neither was done before. Raises Unavailable where nothing
    can be compiled, CheckpointError for a checkpoint that is no good.
    """
    from gpt2.cpu.compiler import compiled
    from gpt2.cpu.executor import CompiledExecutor
    from gpt2.cpu.packed import open_packed

    packed = open_packed(folder, precision)
    code = compiled(precision, packed.config.hidden_dimension)
    return CompiledExecutor(packed, code, threads, slots)


def executor_of(
    config: GPT2Config, state: State, precision: str, threads: int, slots: int
) -> CompiledExecutor:
    """The same for weights in memory: `state(prefix)` gives those whose names begin with it."""
    from gpt2.cpu.compiler import compiled
    from gpt2.cpu.executor import CompiledExecutor
    from gpt2.cpu.packed import in_memory

    code = compiled(precision, config.hidden_dimension)
    return CompiledExecutor(in_memory(config, precision, state), code, threads, slots)
