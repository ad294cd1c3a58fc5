"""Asks the workers in turn, A B C A B C, so that a drifting machine drifts for all of them."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, TextIO, cast

import torch

from gpt2.checkpoint import cached_folder, find_source, read_config, save_model
from gpt2.config import SIZES, GPT2Config
from gpt2.model import GPT2Model
from gpt2.precision import BYTES_PER_WEIGHT
from gpt2.runtime.device import wanted_device

_BANDWIDTH_BYTES = 1 << 30


class WorkerFailed(ValueError):
    """A configuration could not be measured; the message ends with what its process said."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to measure: `new_tokens` after each of `prompts`, `rounds` times."""

    sizes: Sequence[str]
    precisions: Sequence[str]
    prompts: Sequence[int]
    new_tokens: int
    rounds: int
    random: bool  # random weights also where the real ones are here


@dataclass(slots=True)
class Result:
    """One size in one precision: medians over the rounds; bytes, seconds, tokens per second.

    `decode` and `first` are by prompt length; `watched` is `decode` of the longest prompt with the
    attention of all heads kept; `floor` is the speed at which memory could hand over the weights.
    """

    size: str
    precision: str
    weights: str
    parameters: int
    weight_bytes: int
    threads: int
    load: float = 0.0
    resident: float = 0.0
    peak: float = 0.0
    decode: dict[int, float] = field(default_factory=dict)
    first: dict[int, float] = field(default_factory=dict)
    watched: float = 0.0
    floor: float = 0.0


class Process:
    """A worker in its own process."""

    def __init__(self, folder: Path, precision: str) -> None:
        command = [sys.executable, "-m", "gpt2.bench.worker", str(folder), precision]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._requests = cast(TextIO, self._process.stdin)
        self._answers = cast(TextIO, self._process.stdout)
        self.threads = int(self._answer()["threads"])

    def ask(self, **request: object) -> dict[str, Any]:
        """The worker's answer. Raises WorkerFailed."""
        self._requests.write(json.dumps(request) + "\n")
        self._requests.flush()
        return self._answer()

    def close(self) -> None:
        """End it."""
        self._process.terminate()
        self._process.communicate()

    def _answer(self) -> dict[str, Any]:
        line = self._answers.readline()
        if not line:
            _, said = self._process.communicate()
            last = (said.strip().splitlines() or ["its process said nothing"])[-1]
            raise WorkerFailed(f"a measurement broke off: {last}")
        answer: dict[str, Any] = json.loads(line)
        return answer


def measure(plan: Plan, say: Callable[[str], None]) -> list[Result]:
    """All results, smallest size first as given. Raises WorkerFailed, CheckpointError."""
    results = []
    for size in plan.sizes:
        with weights_of(size, plan.random) as (folder, kind):
            results += _measure_size(plan, size, folder, kind, say)
    return results


@contextmanager
def weights_of(size: str, random: bool) -> Iterator[tuple[Path, str]]:
    """A folder with weights of this shape, and what they are: the size's own, or random ones.

    Never downloads: a size that is not here is measured with random weights, which cost the same.
    """
    source = find_source(size)
    folder = source.folder or cached_folder(source)
    if folder is not None and not random:
        yield folder, "its own"
        return
    config = read_config(folder) if folder is not None else shape_of(size)
    with TemporaryDirectory(prefix="gpt2-bench-") as name:
        model = GPT2Model.from_config(config)
        save_model(model, Path(name), {}, torch.float32)
        del model
        yield Path(name), "random"


def bandwidth() -> float:
    """Bytes/s at which this machine reads a gigabyte: the median of five sums."""
    data = torch.ones(_BANDWIDTH_BYTES // 4, device=wanted_device())
    rates = []
    for _ in range(5):
        began = time.perf_counter()
        data.sum().item()  # waits for a GPU
        rates.append(_BANDWIDTH_BYTES / (time.perf_counter() - began))
    return sorted(rates)[2]


def shape_of(size: str) -> GPT2Config:
    """Raises ValueError for a model that is neither here nor a known size."""
    if size not in SIZES:
        raise ValueError(
            f"{size} is not here: download it first, or name one of {', '.join(SIZES)}"
        )
    return SIZES[size].config


def _measure_size(
    plan: Plan, size: str, folder: Path, kind: str, say: Callable[[str], None]
) -> list[Result]:
    config = read_config(folder)
    prompts = [n for n in plan.prompts if n + plan.new_tokens <= config.max_seq_len]
    if not prompts:
        raise ValueError(f"{size} reads {config.max_seq_len} tokens: ask for shorter prompts")
    with ExitStack() as stack:
        processes = []
        for precision in plan.precisions:
            say(f"{size} {precision}: loading")
            process = Process(folder, precision)
            stack.callback(process.close)
            processes.append(process)
        rounds: list[dict[str, list[dict[str, Any]]]] = [{} for _ in processes]
        for number in range(plan.rounds + 1):  # the first one only warms up
            say(f"{size}: round {number} of {plan.rounds}")
            for process, answers in zip(processes, rounds, strict=True):
                for name, answer in _one_round(process, prompts, plan.new_tokens):
                    if number:
                        answers.setdefault(name, []).append(answer)
        return [
            _result(size, precision, kind, config, process, answers)
            for precision, process, answers in zip(plan.precisions, processes, rounds, strict=True)
        ]


def _one_round(
    process: Process, prompts: Sequence[int], new_tokens: int
) -> Iterator[tuple[str, dict[str, Any]]]:
    yield "bandwidth", {"bandwidth": bandwidth()}
    for prompt in prompts:
        request = {"do": "decode", "prompt": prompt, "new": new_tokens}
        yield str(prompt), process.ask(**request, attention=False)
    yield "watched", process.ask(**request, attention=True)


def _result(
    size: str,
    precision: str,
    kind: str,
    config: GPT2Config,
    process: Process,
    answers: dict[str, list[dict[str, Any]]],
) -> Result:
    def middle(name: str, what: str) -> float:
        return float(median(answer[what] for answer in answers[name]))

    memory = process.ask(do="memory")
    # Of the place embeddings a token reads one row.
    places = config.max_seq_len * config.embedding_dimension
    read = int((config.num_parameters - places) * BYTES_PER_WEIGHT[precision])
    prompts = [name for name in answers if name.isdecimal()]
    return Result(
        size=size,
        precision=precision,
        weights=kind,
        parameters=config.num_parameters,
        weight_bytes=read,
        threads=process.threads,
        load=memory["load"],
        resident=memory["resident"],
        peak=memory["peak"],
        decode={int(name): middle(name, "speed") for name in prompts},
        first={int(name): middle(name, "first") for name in prompts},
        watched=middle("watched", "speed"),
        floor=middle("bandwidth", "bandwidth") / read,
    )
