"""Runs on a ZeroGPU Space: the `spaces` package lends a GPU to one call at a time.

The decorated call runs in a forked process, so it gets names and numbers and gives steps, all
pickled; a Stop closes the generator. What is asked between runs, attention of an earlier text,
stays with the model in this process, on the CPU.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Iterator
from functools import cache, partial
from math import ceil

import torch

from gpt2.config import SIZES, GPT2Config
from gpt2.engine import Engine
from gpt2.inference.steps import Request, Step, StepSource
from gpt2.loading import load, load_as_wanted
from gpt2.precision import FLOAT32, weight_bytes
from gpt2.runtime import settings
from gpt2.runtime.device import CPU
from gpt2.serving.remote import Far, FarRequest, RemoteSource

_MOST_SECONDS = 120
# A call is cut off at the seconds that it asked for, and they are taken from what its visitor has
# in a day (two minutes without an account); who asks for fewer is served sooner. On an H200 a token
# took 0.3 ms a layer and a GPU of these Spaces is slower; the rest are guesses on the safe side.
_START = 5.0  # seconds: the process, CUDA
_LOADED_A_SECOND = 5e8  # bytes
_READ_A_SECOND = 5e12  # products
_SECONDS_A_LAYER = 1e-3  # for each token

_shapes: dict[str, GPT2Config] = {}  # of what has been loaded, by name


class NoGpu(ValueError):
    """The platform lends no GPU now; the message is its own sentence."""


def is_zero_gpu() -> bool:
    """Whether this is a ZeroGPU Space."""
    return settings.SPACES_ZERO_GPU.get().lower() in ("1", "t", "true")


def write(name: str, request: FarRequest) -> Iterator[Step]:
    """One run, in whatever process this is called."""
    yield from _source(name).steps(request.near(_source))


def seconds(name: str, request: FarRequest) -> int:
    """How long a GPU is asked for: to load the models, read the prompt, and write.

    A draft works beside its model. A model of which nothing is known is as large as XL.
    """
    needed = _START
    for model in filter(None, (name, request.draft)):
        shape = _shapes.get(model, SIZES["xl"].config)
        needed += weight_bytes(shape, FLOAT32) / _LOADED_A_SECOND
        needed += len(request.request.ids) * shape.num_parameters / _READ_A_SECOND
        needed += request.request.new_tokens * shape.num_blocks * _SECONDS_A_LAYER
    return min(_MOST_SECONDS, ceil(needed))


@cache
def _engine(name: str) -> Engine:
    # A forked process must not use the threads that PyTorch had before the fork.
    torch.set_num_threads(1)
    return load_as_wanted(name, lambda: False)


def _source(name: str) -> StepSource:
    return _engine(name).source


class LentSource(RemoteSource):
    """Writes on a lent GPU by `far`, and reads by `here`, which lends nothing."""

    def __init__(self, name: str, here: StepSource, far: Far) -> None:
        super().__init__(name, here.config, here.precision, far, lambda: here.value_grams)
        self._here = here

    def steps(self, request: Request) -> Iterator[Step]:
        """`StepSource.steps`. Raises NoGpu with the platform's own words."""
        if not request.new_tokens:
            return self._here.steps(request)
        return _in_plain_words(super().steps(request))

    def close(self) -> None:
        """`StepSource.close`."""
        self._here.close()


def _in_plain_words(steps: Iterator[Step]) -> Iterator[Step]:
    try:
        yield from steps
    except Exception as error:
        # What `spaces` raises is Gradio's Error, with a title and a message in HTML.
        message = getattr(error, "message", None)
        if message is None:
            raise
        title = getattr(error, "title", "GPU")
        raise NoGpu(f"{title}: {re.sub('<[^>]*>', '', str(message))}") from error


def lent_engine(name: str, here: Engine, far: Far) -> Engine:
    """An engine that writes on a lent GPU and reads `here`."""
    source = LentSource(name, here.source, far)
    return Engine(source, here.tokenizer, lambda: here.model, here.note)


def loader() -> Callable[[str, Callable[[], bool]], Engine]:
    """Loads engines as `gpt2.residency` wants them; to be made once, before the page is served."""
    lent = importlib.import_module("spaces").GPU(write, duration=seconds)

    def load_engine(name: str, cancelled: Callable[[], bool]) -> Engine:
        here = load(name, cancelled=cancelled, device=CPU)
        _shapes[name] = here.config
        return lent_engine(name, here, partial(lent, name))

    return load_engine
