"""python -m tests.pass_speed FOLDER: what a pass costs apart from the peers (`tests/peers.py`).

FOLDER is a checkpoint. Prints a line each: a pass of twelve thin layers, several rows against one,
every head watched against none, opening the packed file to the first token and the memory it takes,
and compiling. What is compared is asked in turns; medians, and the least time behind them.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np

from gpt2.bench.worker import resident_bytes
from gpt2.config import GPT2Config
from gpt2.cpu import executor_of, open_executor
from gpt2.cpu.compiler import _make, host
from gpt2.inference.executor import NOTHING, Executor, Watch
from gpt2.model import GPT2Model
from tests.cpu.models import state_of

ROWS = (1, 2, 3, 4, 6, 8)
READ = 64  # tokens of each text before a row is timed
WATCHED_AFTER = 256
THIN = GPT2Config(
    vocab_size=512,
    embedding_dimension=64,
    num_heads=1,
    hidden_dimension=64,
    num_blocks=12,
    max_seq_len=64,
)


def in_turns(works: list[Callable[[], object]], rounds: int) -> list[list[float]]:
    """Milliseconds of each, one after the other, again and again."""
    found: list[list[float]] = [[] for _ in works]
    for _ in range(rounds):
        for work, times in zip(works, found, strict=True):
            began = time.perf_counter()
            work()
            times.append((time.perf_counter() - began) * 1e3)
    return found


def row_of(executor: Executor, rows: int, position: int, watch: Watch = NOTHING) -> object:
    """A token of each of `rows` texts."""
    slots = np.arange(rows)
    return executor.run(slots + 1, np.full(rows, position), slots, slots, watch)


def read(executor: Executor, slots: int, tokens: int) -> None:
    places = np.arange(tokens)
    for slot in range(slots):
        executor.run(places, places, np.full(tokens, slot), places[-1:])


def thin(threads: int) -> None:
    executor = executor_of(THIN, state_of(GPT2Model.from_config(THIN)), "int8", threads, 1)
    (times,) = in_turns([lambda: row_of(executor, 1, 0)], 400)
    print(f"twelve thin layers, {threads} threads: {median(times):.3f} ms, least {min(times):.3f}")


def opening(folder: Path, precision: str, threads: int) -> None:
    before, began = resident_bytes(), time.perf_counter()
    executor = open_executor(folder, precision, threads, 1)
    row_of(executor, 1, 0)
    seconds = time.perf_counter() - began
    row_of(executor, 1, 1)
    taken, own = resident_bytes() - before, executor.packed.weight_bytes
    print(
        f"opened, to the first token: {seconds:.2f} s; memory {taken / 1e6:,.0f} MB "
        f"with its cache, weights {own / 1e6:,.0f} MB"
    )


def rows(folder: Path, precision: str, threads: int, rounds: int) -> None:
    executor = open_executor(folder, precision, threads, max(ROWS))
    read(executor, max(ROWS), READ)
    works: list[Callable[[], object]] = [lambda n=n: row_of(executor, n, READ) for n in ROWS]
    times = in_turns(works, rounds)
    for n, each in zip(ROWS, times, strict=True):
        print(
            f"{n} rows: {median(each):.2f} ms, {n * median(times[0]) / median(each):.2f} x the "
            f"tokens of one; least {min(each):.2f} ms, {n * min(times[0]) / min(each):.2f} x"
        )


def watched(folder: Path, precision: str, threads: int, rounds: int) -> None:
    executor = open_executor(folder, precision, threads, 1)
    read(executor, 1, WATCHED_AFTER)
    watch = Watch(attention={0: range(executor.config.num_blocks)})
    alone, seen = in_turns(
        [
            lambda: row_of(executor, 1, WATCHED_AFTER),
            lambda: row_of(executor, 1, WATCHED_AFTER, watch),
        ],
        4 * rounds,
    )
    print(
        f"every head watched after {WATCHED_AFTER}: {median(seen):.2f} against {median(alone):.2f} "
        f"ms, {median(alone) / median(seen):.3f}; least {min(alone) / min(seen):.3f}"
    )


def compiling() -> None:
    for what in (
        ("forward",),
        *(("loops", p, "64") for p in ("int8", "int4", "float16", "float32")),
    ):
        before = _children()
        _make(what, host())
        print(f"compiling {' '.join(what)}: {_children() - before:.2f} s of CPU")


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.pass_speed", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--precision", default="int8")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--opening", action="store_true", help="only that, in a fresh process")
    options = parser.parse_args()
    if options.opening:
        return opening(options.folder, options.precision, options.threads)
    for threads in range(1, options.threads + 1):
        thin(threads)
    for _ in range(2):  # the second time its pages are in memory
        subprocess.run([sys.executable, "-m", "tests.pass_speed", *sys.argv[1:], "--opening"])
    rows(options.folder, options.precision, options.threads, options.rounds)
    watched(options.folder, options.precision, options.threads, options.rounds)
    compiling()


if __name__ == "__main__":
    main()
