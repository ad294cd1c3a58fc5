"""Which precisions there are, and which one suits this machine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from gpt2.apart import apart
from gpt2.config import GPT2Config
from gpt2.model import GPT2Model
from gpt2.precision.gpu import load_gpu_float16, load_gpu_float32
from gpt2.precision.int8 import load_int8
from gpt2.precision.packed import load_float16, load_float32
from gpt2.precision.recorded import record_blocks
from gpt2.quantization import has_int8_kernel
from gpt2.runtime import settings
from gpt2.runtime.device import CPU, GPU
from gpt2.runtime.malloc import large_blocks_via_mmap

AUTO = "auto"

Loader = Callable[[Path], GPT2Model]

# By device; `float32` is the reference, in which nothing is rounded.
PRECISIONS: dict[str, dict[str, Loader]] = {
    CPU: {"float32": load_float32, "float16": load_float16, "int8": load_int8},
    GPU: {"float32": load_gpu_float32, "float16": load_gpu_float16},
}
ALL_PRECISIONS = list(dict.fromkeys(name for here in PRECISIONS.values() for name in here))

BYTES_PER_WEIGHT = {"float32": 4, "float16": 2, "int8": 1}

# Below this, reading the weights is not what takes the time.
_WORTH_IT = 50_000_000


def choose_precision(precision: str, config: GPT2Config, device: str = CPU) -> str:
    """The precision that `precision` stands for: `auto` takes int8 where it pays, else float32.

    It pays on a CPU whose kernel torch has (x86), for models of 50 million parameters and more. On
    a GPU, where starting kernels takes most of the time, float32 was the fastest at every size
    (`python -m gpt2 bench`). Raises ValueError, which lists the names, for any other name or
    device.
    """
    if device not in PRECISIONS:
        raise ValueError(f"device must be one of {', '.join(PRECISIONS)}, not {device!r}")
    if precision == AUTO:
        pays = device == CPU and config.num_parameters > _WORTH_IT and has_int8_kernel()
        return "int8" if pays else "float32"
    if precision not in PRECISIONS[device]:
        names = ", ".join([*PRECISIONS[device], AUTO])
        raise ValueError(f"precision must be one of {names} (on {device}), not {precision!r}")
    return precision


def wanted_precision() -> str:
    """What the page loads models in: GPT2_PRECISION, or `auto`."""
    return settings.PRECISION.get()


def weight_bytes(config: GPT2Config, precision: str) -> int:
    """Memory of the weights; the embedding counts twice, as head and as table."""
    return BYTES_PER_WEIGHT[precision] * (
        config.num_parameters + config.vocab_size * config.embedding_dimension
    )


@apart
def load_with_precision(folder: Path, precision: str, device: str = CPU) -> GPT2Model:
    """The model in `folder` with a precision of `PRECISIONS[device]`. Raises CheckpointError."""
    with large_blocks_via_mmap():
        return record_blocks(PRECISIONS[device][precision](folder))
