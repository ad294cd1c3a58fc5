"""GPT-2's pass for CPUs, compiled from Python: see README.md in this folder.

`open_executor` is all that the rest of the project needs.
"""

from __future__ import annotations

from pathlib import Path

from gpt2.config import GPT2Config
from gpt2.cpu.compiler import Unavailable, compiled
from gpt2.cpu.executor import CompiledExecutor
from gpt2.cpu.formats import FORMATS
from gpt2.cpu.packed import State, in_memory, open_packed

PRECISIONS = tuple(FORMATS)

__all__ = [
    "PRECISIONS",
    "CompiledExecutor",
    "State",
    "Unavailable",
    "executor_of",
    "open_executor",
]


def open_executor(folder: Path, precision: str, threads: int, slots: int) -> CompiledExecutor:
    """The checkpoint in `folder`, packed in `precision`, behind the compiled pass.

    Packs the weights and compiles where neither was done before. Raises Unavailable where nothing
    can be compiled, CheckpointError for a checkpoint that is no good.
    """
    packed = open_packed(folder, precision)
    code = compiled(precision, packed.config.hidden_dimension)
    return CompiledExecutor(packed, code, threads, slots)


def executor_of(
    config: GPT2Config, state: State, precision: str, threads: int, slots: int
) -> CompiledExecutor:
    """The same for weights in memory: `state(prefix)` gives those whose names begin with it."""
    code = compiled(precision, config.hidden_dimension)
    return CompiledExecutor(in_memory(config, precision, state), code, threads, slots)
