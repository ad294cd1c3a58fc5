"""Runs on a ZeroGPU Space: the `spaces` package lends a GPU to one call at a time.

The decorated call runs in a forked process, so it gets names and numbers and gives events, all
pickled; a Stop closes the generator. What is asked between runs, attention of an earlier text,
stays with the model in this process, on the CPU.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Collection, Generator, Iterator, Sequence
from functools import cache, partial
from typing import Any

import torch

from gpt2.engine import Engine, Event
from gpt2.generation import Step
from gpt2.loading import load, load_as_wanted
from gpt2.runtime import settings
from gpt2.runtime.device import CPU
from gpt2.sampling import SamplingOptions
from gpt2.serving.remote import far_steps

_MOST_SECONDS = 120


class NoGpu(ValueError):
    """The platform lends no GPU now; the message is its own sentence."""


def is_zero_gpu() -> bool:
    """Whether this is a ZeroGPU Space."""
    return settings.SPACES_ZERO_GPU.get().lower() in ("1", "t", "true")


def write(
    name: str, ids: list[int], new_tokens: int, options: SamplingOptions, layers: tuple[int, ...]
) -> Iterator[Event]:
    """One run, in whatever process this is called."""
    yield from _engine(name).stream(ids, options, new_tokens, attention=layers)


def seconds(name: str, ids: list[int], new_tokens: int, *_: Any) -> int:
    """How long a GPU is asked for: loading and reading, then at least 20 tokens a second."""
    return min(_MOST_SECONDS, 20 + new_tokens // 20)


@cache
def _engine(name: str) -> Engine:
    # A forked process must not use the threads that PyTorch had before the fork.
    torch.set_num_threads(1)
    return load_as_wanted(name, lambda: False)


class ZeroGpuEngine(Engine):
    """An engine that writes on a lent GPU and reads attention here."""

    def __init__(self, engine: Engine, far: Callable[..., Generator[Event, None, None]]) -> None:
        super().__init__(engine.model, engine.tokenizer, engine.precision)
        self._far = far

    def _steps(
        self,
        ids: Sequence[int],
        new_tokens: int,
        options: SamplingOptions,
        watched: Callable[[], Collection[int]],
        stopped: Callable[[], bool],
        *_: Any,
        **__: Any,
    ) -> Iterator[Step]:
        try:
            yield from far_steps(self._far, ids, new_tokens, options, watched, stopped)
        except Exception as error:
            # What `spaces` raises is Gradio's Error, with a title and a message in HTML.
            message = getattr(error, "message", None)
            if message is None:
                raise
            title = getattr(error, "title", "GPU")
            raise NoGpu(f"{title}: {re.sub('<[^>]*>', '', str(message))}") from error


def loader() -> Callable[[str, Callable[[], bool]], Engine]:
    """Loads engines as `gpt2.residency` wants them; to be made once, before the page is served."""
    lent = importlib.import_module("spaces").GPU(write, duration=seconds)

    def load_engine(name: str, cancelled: Callable[[], bool]) -> Engine:
        return ZeroGpuEngine(load(name, cancelled=cancelled, device=CPU), partial(lent, name))

    return load_engine
