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
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from gpt2.checkpoint import fetch, find_source, read_config, read_tokenizer
from gpt2.engine import Engine
from gpt2.inference.executor import Floats
from gpt2.inference.steps import Step, StepSource
from gpt2.loading import load
from gpt2.model import GPT2Model
from gpt2.precision import wanted_precision
from gpt2.runtime import settings
from gpt2.runtime.threads import set_threads
from gpt2.serving.remote import FarRequest, Lost, RemoteSource

_RUNS_PER_REPLICA = 2  # on average; with more, another replica is started
_MOST_RUNS = 8  # in one replica; more wait for a place


class Replica:
    """One model in a process of its own, somewhere in the cluster, and what drafts it."""

    def __init__(self, name: str, precision: str) -> None:
        set_threads()
        self._precision = precision
        self._engine = load(name, precision)
        self._drafts: dict[str, Engine] = {}

    async def write(self, request: FarRequest) -> AsyncIterator[Step]:
        """One run; in a thread of its own, since Serve must be able to ask how it goes."""
        left = threading.Event()
        loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(1) as thread:
            try:
                near = await loop.run_in_executor(thread, request.near, self._draft)
                steps = self._engine.source.steps(replace(near, stopped=left.is_set))
                while True:
                    step = await loop.run_in_executor(thread, partial(next, steps, None))
                    if step is None:
                        return
                    yield step
            finally:
                left.set()

    def _draft(self, name: str) -> StepSource:
        if name not in self._drafts:
            self._drafts[name] = load(name, self._precision)
        return self._drafts[name].source

    async def precision(self) -> str:
        """In which numbers it computes."""
        return self._engine.precision

    async def value_grams(self) -> Floats:
        """`StepSource.value_grams`."""
        return await asyncio.to_thread(lambda: self._engine.source.value_grams)

    async def process(self) -> int:
        """Which process this is, for tests that end it."""
        return os.getpid()


def _far(handle: Any, request: FarRequest) -> Generator[Step, None, None]:
    """What a replica writes, as `RemoteSource` wants it."""
    answers = handle.options(stream=True).write.remote(request)
    try:
        yield from _or_lost(answers)
    finally:
        answers.cancel()


def _no_model() -> GPT2Model:
    raise ValueError("This needs the model itself, which is in the Ray cluster.")


def _or_lost(answers: Any) -> Iterator[Step]:
    from ray.exceptions import ActorUnavailableError, RayActorError, WorkerCrashedError

    try:
        yield from answers
    except (RayActorError, ActorUnavailableError, WorkerCrashedError) as error:
        raise Lost("A machine of the cluster was lost; try again.") from error


def loader() -> Callable[[str, Callable[[], bool]], Engine]:
    """Loads engines as `gpt2.residency` wants them. Raises ValueError where Ray is missing."""
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
            serve.deployment(Replica).options(**_settings()).bind(name, wanted_precision()),
            name=f"gpt2-{re.sub('[^A-Za-z0-9]+', '-', name)}",
            route_prefix=None,
        )
        source = RemoteSource(
            name,
            config,
            handle.precision.remote().result(),
            partial(_far, handle),
            lambda: np.asarray(handle.value_grams.remote().result()),
        )
        return Engine(source, tokenizer, _no_model)

    return load_engine


def _settings() -> dict[str, Any]:
    return {
        "max_ongoing_requests": _MOST_RUNS,
        "autoscaling_config": {
            "min_replicas": 1,
            "max_replicas": settings.RAY_REPLICAS.get(),
            "target_ongoing_requests": _RUNS_PER_REPLICA,
        },
    }
