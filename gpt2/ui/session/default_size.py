"""Which size a new page begins with: the best that is here already and writes quickly enough."""

from __future__ import annotations

import time
from functools import cache

import numpy as np

from gpt2.checkpoint import is_cached
from gpt2.config import SIZES
from gpt2.runtime.device import CPU
from gpt2.runtime.settings import DEFAULT_SIZE
from gpt2.serving.engines import writing_device
from gpt2.ui.session.sizes import config_of, source_of, weights_bytes

DEFAULT_SIZE_VARIABLE = "GPT2_DEFAULT_SIZE"
LEAST_SPEED = 15.0  # tokens a second: as fast as people read

_SIDE = 4096  # of the matrix that is read to measure the memory: 64 MB, more than caches hold
_PATIENCE = 0.3  # seconds: what else starts with the server leaves the memory alone at some moment
_TRIES = 3  # at least


@cache
def default_size() -> str:
    """A name of `offered()`, the same for as long as the server runs.

    What the owner chose (GPT2_DEFAULT_SIZE), else the largest size whose weights are on the disk
    and
    which this machine can write LEAST_SPEED tokens a second with; Mini works everywhere. Raises
    ValueError for a size that is not offered.
    """
    if named := DEFAULT_SIZE.get():
        return source_of(named).name
    here = [name for name in SIZES if is_cached(source_of(name))]
    public = [name for name in here if not SIZES[name].built_in]
    if public and writing_device() == CPU:
        rate = memory_bytes_per_second()
        public = [name for name in public if rate / bytes_a_token(name) >= LEAST_SPEED]
    built_in = [name for name in SIZES if SIZES[name].built_in]
    return [*built_in, *public][-1]


def bytes_a_token(name: str) -> float:
    """How much a token reads: every weight once. In memory the embedding lies twice."""
    config = config_of(name)
    table = config.vocab_size * config.embedding_dimension
    return weights_bytes(name) * config.num_parameters / (config.num_parameters + table)


def memory_bytes_per_second() -> float:
    """How fast weights are read here, which is what writing on a CPU mostly waits for."""
    matrix, vector = np.ones((_SIDE, _SIDE), np.float32), np.ones(_SIDE, np.float32)
    ends = time.perf_counter() + _PATIENCE
    seconds: list[float] = []
    while len(seconds) < _TRIES or time.perf_counter() < ends:
        began = time.perf_counter()
        matrix @ vector
        seconds.append(time.perf_counter() - began)
    return matrix.nbytes / min(seconds)
