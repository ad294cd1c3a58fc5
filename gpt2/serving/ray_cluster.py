"""Runs on a Ray cluster: Ray Serve keeps replicas of each model and starts more when they queue.

https://docs.ray.io/en/latest/serve/. `RAY_ADDRESS` names a cluster; without it one is started on
this computer. Its nodes need this project and its requirements installed, and get the weights as
this computer does. Nothing here schedules anything.
"""

from __future__ import annotations

import asyncio
import os
import re
import threading
from collections.abc import AsyncIterator, Callable, Collection, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, cast

from gpt2.checkpoint import fetch, find_source, read_config, read_tokenizer
from gpt2.config import GPT2Config
from gpt2.engine import Engine, Event, Weights
from gpt2.generation import Step
from gpt2.loading import load
from gpt2.model import GPT2Model
from gpt2.model.value_norms import ValueNorms
from gpt2.runtime import settings
from gpt2.runtime.threads import set_threads
from gpt2.sampling import SamplingOptions
from gpt2.serving.remote import Lost, far_steps
from gpt2.tokenizer import Tokenizer

_RUNS_PER_REPLICA = 2  # on average; with more, another replica is started
_MOST_RUNS = 8  # in one replica; more wait for a place


class Replica:
    """One model in a process of its own, somewhere in the cluster."""

    def __init__(self, name: str) -> None:
        set_threads()
        self._engine = load(name)

    async def write(
        self, ids: list[int], new_tokens: int, options: SamplingOptions, layers: tuple[int, ...]
    ) -> AsyncIterator[Event]:
        """One run; in a thread of its own, since Serve must be able to ask how it goes."""
        left = threading.Event()
        events = self._engine.stream(
            ids, options, new_tokens, attention=layers, stopped=left.is_set
        )
        with ThreadPoolExecutor(1) as thread:
            try:
                while True:
                    step = partial(next, events, None)
                    event = await asyncio.get_running_loop().run_in_executor(thread, step)
                    if event is None:
                        return
                    yield event
            finally:
                left.set()

    async def attention_rows(self, ids: list[int], layer: int) -> Weights:
        """`Engine.attention_rows`."""
        return await asyncio.to_thread(self._engine.attention_rows, ids, layer)

    async def process(self) -> int:
        """Which process this is, for tests that end it."""
        return os.getpid()


class RayEngine(Engine):
    """An engine whose model is in the cluster; here are only its shape and its tokenizer."""

    def __init__(self, config: GPT2Config, tokenizer: Tokenizer, handle: Any) -> None:
        self._config = config
        self.tokenizer = tokenizer
        self.handle = handle
        self.precision = "float32"
        # Weights of output projections, which are where the model is: nothing is known of norms.
        self._norms = cast(ValueNorms, None)

    @property
    def config(self) -> GPT2Config:
        return self._config

    def __getattr__(self, name: str) -> GPT2Model:
        if name == "model":
            raise ValueError("This needs the model itself, which is in the Ray cluster.")
        raise AttributeError(name)

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
        return far_steps(self._far, ids, new_tokens, options, watched, stopped)

    def _far(self, *arguments: Any) -> Generator[Event, None, None]:
        answers = self.handle.options(stream=True).write.remote(*arguments)
        try:
            yield from _or_lost(answers)
        finally:
            answers.cancel()

    def attention_rows(self, ids: Sequence[int], layer: int) -> Weights:
        answer = self.handle.attention_rows.remote(list(ids), layer)
        rows: Weights = answer.result()
        return rows


def _or_lost(answers: Any) -> Iterator[Event]:
    from ray.exceptions import ActorUnavailableError, RayActorError, WorkerCrashedError

    try:
        yield from answers
    except (RayActorError, ActorUnavailableError, WorkerCrashedError) as error:
        raise Lost("A machine of the cluster was lost; try again.") from error


def loader() -> Callable[[str, Callable[[], bool]], Engine]:
    """Loads engines as `gpt2.residency` wants them.

    Raises ValueError where Ray is missing, or a precision is asked for that replicas do not have.
    """
    _settle_precision()
    try:
        import ray
        from ray import serve
    except ImportError as error:
        raise ValueError("--engine ray needs Ray: pip install 'ray[serve]'") from error
    if not ray.is_initialized():
        ray.init(log_to_driver=False)
    serve.start(proxy_location="Disabled")

    def load_engine(name: str, cancelled: Callable[[], bool]) -> Engine:
        folder = fetch(find_source(name), cancelled=cancelled)
        config, tokenizer = read_config(folder), read_tokenizer(folder)
        handle = serve.run(
            serve.deployment(Replica).options(**_settings()).bind(name),
            name=f"gpt2-{re.sub('[^A-Za-z0-9]+', '-', name)}",
            route_prefix=None,
        )
        return RayEngine(config, tokenizer, handle)

    return load_engine


def _settle_precision() -> None:
    """A run that goes on elsewhere reads its text anew, which int8 rounds to other bits."""
    settings.set_default(settings.PRECISION, "float32")  # which the page tells of
    wanted = settings.PRECISION.get()
    if wanted != "float32":
        raise ValueError(f"--engine ray writes in float32: leave out GPT2_PRECISION={wanted}.")


def _settings() -> dict[str, Any]:
    return {
        "max_ongoing_requests": _MOST_RUNS,
        "autoscaling_config": {
            "min_replicas": 1,
            "max_replicas": settings.RAY_REPLICAS.get(),
            "target_ongoing_requests": _RUNS_PER_REPLICA,
        },
    }
