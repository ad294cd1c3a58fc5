"""One configuration in a process of its own: python -m gpt2.bench.worker FOLDER PRECISION.

Speaks JSON lines: a request in, an answer out. Its memory is then its own alone.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

import torch

from gpt2.engine import Engine
from gpt2.loading import load
from gpt2.runtime.device import GPU, wanted_device
from gpt2.sampling import GREEDY

Answer = dict[str, float | None]


class Worker:
    """A loaded engine and what can be measured on it."""

    def __init__(self, folder: str, precision: str) -> None:
        self._before = resident_bytes()
        began = time.perf_counter()
        self._engine: Engine = load(folder, precision)
        self.load_seconds = time.perf_counter() - began

    def memory(self, request: dict[str, Any]) -> Answer:
        """Bytes above what the bare import takes: now, and at the worst since the process began.

        On a GPU those of its own memory.
        """
        if wanted_device() == GPU:
            most = torch.cuda.max_memory_allocated()
            now = torch.cuda.memory_allocated()
            return {"resident": now, "peak": most, "load": self.load_seconds}
        return {
            "resident": resident_bytes() - self._before,
            "peak": resident_bytes("VmHWM") - self._before,
            "load": self.load_seconds,
        }

    def decode(self, request: dict[str, Any]) -> Answer:
        """Tokens/s after the first one of a greedy run, and how long the first one took.

        With `attention`, every head of every layer is watched.
        """
        layers = range(self._engine.config.num_blocks if request["attention"] else 0)
        ids = self._prompt(request["prompt"])
        times = []
        began = time.perf_counter()
        for event in self._engine.stream(ids, GREEDY, request["new"], attention=layers):
            if event.token is not None:
                times.append(time.perf_counter() - began)
        speed = (len(times) - 1) / (times[-1] - times[0]) if len(times) > 1 else None
        return {"speed": speed, "first": times[0]}

    def _prompt(self, length: int) -> list[int]:
        random = torch.Generator().manual_seed(1)
        vocabulary = self._engine.config.vocab_size - 1  # all but <|endoftext|>
        return [int(i) for i in torch.randint(vocabulary, (length,), generator=random)]


def resident_bytes(field: str = "VmRSS") -> int:
    """What Linux says of this process: VmRSS now, VmHWM at the most. 0 where it says nothing."""
    try:
        with open("/proc/self/status") as status:
            lines = dict(line.split(":", 1) for line in status)
    except OSError:
        return 0
    return int(lines[field].split()[0]) * 1024


def main() -> None:
    """Load, say so, answer until told nothing more."""
    # Whatever a library prints must not get between the answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def answer(value: object) -> None:
        print(json.dumps(value), file=answers, flush=True)

    worker = Worker(sys.argv[1], sys.argv[2])
    tasks: dict[str, Callable[[dict[str, Any]], Answer]] = {
        "decode": worker.decode,
        "memory": worker.memory,
    }
    answer({"threads": torch.get_num_threads()})
    for line in sys.stdin:
        request = json.loads(line)
        answer(tasks[request["do"]](request))


if __name__ == "__main__":
    main()
