"""A GPT-2 small enough to run a thousand times: random weights, real shapes, real text."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import torch

from gpt2 import Engine, GPT2Config, GPT2Model, Tokenizer
from gpt2.inference.executor import Pass
from gpt2.inference.scheduler import Scheduler

SHORT_PIECE = 128  # of a prompt, as of a large model: with `short_pieces`
CONFIG = GPT2Config(
    vocab_size=400,
    embedding_dimension=24,
    num_heads=3,
    hidden_dimension=8,
    num_blocks=2,
    max_seq_len=320,
)


def small_engine(config: GPT2Config = CONFIG) -> Engine:
    """Weights wide enough that heads look at different things and tokens are not all alike."""
    random = torch.Generator().manual_seed(7)
    model = GPT2Model.from_config(config)
    for name, parameter in model.named_parameters():
        if "ln_" not in name:
            parameter.data.normal_(0, 0.25, generator=random)
    return Engine.from_model(model.eval().requires_grad_(False), Tokenizer(config.vocab_size))


def saying(token: int) -> Engine:
    """An engine whose model always says `token`."""
    engine = small_engine()
    engine.model.ln_f.weight.zero_()
    engine.model.ln_f.bias.fill_(1.0)
    engine.model.wte.weight[token] = 4.0
    return engine


class Passes:
    """Counts an engine's passes; `before` is called ahead of each with its number."""

    def __init__(self, engine: Engine, before: Callable[[int], None] = lambda number: None) -> None:
        assert isinstance(engine.source, Scheduler)
        self.count = 0
        self._before = before
        executor = engine.source.slots.executor
        self._run = executor.run
        executor.run = self._counted  # type: ignore[method-assign]  # of this executor alone

    def _counted(self, *arguments: Any) -> Pass:
        self.count += 1
        self._before(self.count)
        return self._run(*arguments)


def slowly(seconds: float) -> Callable[[int], None]:
    """For `Passes`: every pass takes at least so long, as a large model's does."""
    return lambda number: time.sleep(seconds)


def at_rest(engine: Engine) -> bool:
    """Whether nobody's text is being written: a run that was left behind would go on here."""
    assert isinstance(engine.source, Scheduler)
    return engine.source._thread is None


def together(*tasks: Callable[[], object]) -> list[object]:
    """The results of `tasks`, begun at once, each in its own thread."""
    results: list[object] = [None] * len(tasks)
    gate = threading.Barrier(len(tasks))

    def run(number: int) -> None:
        gate.wait()
        try:
            results[number] = tasks[number]()
        except Exception as error:
            results[number] = error

    threads = [threading.Thread(target=run, args=(n,), daemon=True) for n in range(len(tasks))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return results


def until(true: Callable[[], bool], seconds: float = 10) -> bool:
    """Whether it becomes true before the time is up."""
    end = time.monotonic() + seconds
    while not true() and time.monotonic() < end:
        time.sleep(0.005)
    return true()
