"""In which numbers models compute: which precisions there are, and which one suits this machine.

float32 is the reference, in which nothing is rounded. What the others change is measured by
`python -m gpt2.bench.divergence`.
"""

from __future__ import annotations

from importlib.util import find_spec

from gpt2.config import GPT2Config
from gpt2.runtime import settings
from gpt2.runtime.device import CPU, GPU

AUTO = "auto"
FLOAT32 = "float32"
# By device. On a CPU all of them are computed by the compiled pass.
PRECISIONS = {CPU: (FLOAT32, "float16", "int8", "int4"), GPU: (FLOAT32, "float16")}
ALL_PRECISIONS = list(dict.fromkeys(name for here in PRECISIONS.values() for name in here))

# Of int8 and int4, 32 weights share a scale of two bytes.
BYTES_PER_WEIGHT = {FLOAT32: 4.0, "float16": 2.0, "int8": 1.0625, "int4": 0.5625}

# What GPT2_PRECISION=int4 stands for: int4 for models of 355M and up, and `auto` for smaller ones,
# which lose too much by it.
INT4_WHERE_OFFERED = "int4 where it is offered"
_INT4_FROM = 300_000_000  # parameters
# Mean Kullback-Leibler divergence from float32 in nats, on Mini's held-out stories; it stands
# beside a model's name (`pytest -s tests/cpu/test_truth.py`).
INT4_DIVERGENCE = 0.05

# Below this, reading the weights is not what takes the time.
_WORTH_IT = 50_000_000


def choose_precision(precision: str, config: GPT2Config, device: str = CPU) -> str:
    """The precision that `precision` stands for: `auto` takes int8 where it pays, else float32.

    It pays on a CPU, for models of 50 million parameters and more. On a GPU, where starting kernels
    takes most of the time, float32 was the fastest at every size (`python -m gpt2 bench`). A CPU
    without the compiled pass has float32 alone. int4 is taken only by its name. Raises ValueError,
    which lists the names, for any other name or device.
    """
    if device not in PRECISIONS:
        raise ValueError(f"device must be one of {', '.join(PRECISIONS)}, not {device!r}")
    if precision == INT4_WHERE_OFFERED and device == CPU:
        precision = "int4" if config.num_parameters >= _INT4_FROM else AUTO
    if precision not in (*PRECISIONS[device], AUTO):
        names = ", ".join([*PRECISIONS[device], AUTO])
        raise ValueError(f"precision must be one of {names} (on {device}), not {precision!r}")
    if device == CPU and not has_compiled_pass():
        return FLOAT32
    if precision == AUTO:
        return "int8" if device == CPU and config.num_parameters > _WORTH_IT else FLOAT32
    return precision


def has_compiled_pass() -> bool:
    """Whether what the compiled pass needs is installed."""
    return find_spec("gpt2.cpu") is not None and find_spec("numba") is not None


def wanted_precision() -> str:
    """What the page loads models in: GPT2_PRECISION, or `auto`; int4 only where it is offered."""
    wanted = settings.PRECISION.get()
    return INT4_WHERE_OFFERED if wanted == "int4" else wanted


def described(precision: str) -> str:
    """As it stands beside a model's name: int4 says how far it is from float32."""
    return f"int4 ({INT4_DIVERGENCE} nats from float32)" if precision == "int4" else precision


def weight_bytes(config: GPT2Config, precision: str) -> int:
    """Memory of the weights; the embedding counts twice, as head and as table."""
    weights = config.num_parameters + config.vocab_size * config.embedding_dimension
    return int(BYTES_PER_WEIGHT[precision] * weights)
