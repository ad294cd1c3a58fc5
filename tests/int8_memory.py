"""python -m tests.int8_memory [FOLDER]: memory while all four public sizes are loaded in int8.

FOLDER holds `small`, `medium`, `large` and `xl`. Without it, random weights of their real shapes
are written to a temporary folder (8 GB of disk). Nothing is downloaded, and FOLDER stays as it is.
"""

from __future__ import annotations

import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from multiprocessing import get_context
from pathlib import Path

from gpt2 import SIZES, Engine, SamplingOptions, load
from gpt2.bench.worker import resident_bytes
from gpt2.precision import weight_bytes
from gpt2.residency import Residency, cache_bytes
from gpt2.together import Together
from tests.hub_standin import write_gpt2_folder

NAMES = ("small", "medium", "large", "xl")
BUDGET = 6_000_000_000
TOKENS = 20
OWN = "RssAnon"  # without pages of files, which the system takes back when it needs them


def main() -> None:
    """Every measurement in a process of its own, so that its memory is its own alone."""
    with tempfile.TemporaryDirectory() as name:
        here = Path(name)
        for size in NAMES:
            provide(here / size, *sys.argv[1:])
        for size in NAMES:
            print(alone(convert, here, size))
        for size in NAMES:
            print(alone(load_again, here, size))
        print(alone(all_together, here))


def provide(folder: Path, given: str = "") -> None:
    """The files of one size: links to given ones, or random ones."""
    if not given:
        write_gpt2_folder(folder, SIZES[folder.name].config, dtype="F16")
        return
    folder.mkdir()
    for file in ("config.json", "model.safetensors"):
        (folder / file).symlink_to((Path(given) / folder.name / file).resolve())


def alone(task: Callable[..., str], *arguments: object) -> str:
    """What `task` returns in a fresh process."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(task, *arguments).result()


def convert(here: Path, size: str) -> str:
    """The first load ever, which quantises and keeps a copy."""
    before, own = resident_bytes(), resident_bytes(OWN)
    with peak() as most:
        engine = load(str(here / size), "int8")
    high = resident_bytes("VmHWM") - before
    kept = resident_bytes(OWN) - own
    assert engine.precision == "int8"
    return (
        f"{size}: first load, quantising: {gigabytes(kept)} of its own, "
        f"{gigabytes(most[0] - own)} at most; {gigabytes(high)} with the files' pages"
    )


@contextmanager
def peak() -> Iterator[list[int]]:
    """The most memory of its own, looked at every few milliseconds."""
    most = [0]
    done = threading.Event()

    def look() -> None:
        while not done.wait(0.005):
            most[0] = max(most[0], resident_bytes(OWN))

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        yield most
    finally:
        done.set()
        watcher.join()


def load_again(here: Path, size: str) -> str:
    """Every later load: from the copy, in the page cache."""
    residency, weights = manager(), weight_bytes(SIZES[size].config, "int8")
    before = resident_bytes()
    began = time.perf_counter()
    with residency.engine(str(here / size), weights):
        seconds = time.perf_counter() - began
        own, peak = resident_bytes() - before, resident_bytes("VmHWM") - before
    return (
        f"{size}: {gigabytes(weights)} of weights, loaded in {seconds:.1f} s: {gigabytes(own)} "
        f"resident ({own / weights:.2f} x), at most {gigabytes(peak)} with the file's own pages"
    )


def all_together(here: Path) -> str:
    """All four held by the residency manager while they write in turns."""
    before = resident_bytes()
    residency = manager()
    together: Together[str] = Together()
    with ExitStack() as held:
        for size in NAMES:
            config = SIZES[size].config
            engine: Engine = held.enter_context(
                residency.engine(
                    str(here / size),
                    weight_bytes(config, "int8"),
                    run_bytes=cache_bytes(config, config.max_seq_len),
                )
            )
            events = engine.stream(
                "Once upon a time", SamplingOptions(seed=1), TOKENS, attention=[0], paced=True
            )
            together.join(size, events)
        while together.running:
            for _, event in together.round():
                if isinstance(event, Exception):
                    raise event
        counted = sum(residency.loaded().values())
        now, peak = resident_bytes() - before, resident_bytes("VmHWM") - before
        return (
            f"all four, writing in turns: {gigabytes(now)} resident, {gigabytes(peak)} at most; "
            f"weights counted by the manager {gigabytes(counted)}, budget {gigabytes(BUDGET)}"
        )


def manager() -> Residency:
    """What the page holds its models with, in this test's budget."""
    return Residency(BUDGET, lambda name, _: load(name, "int8"))


def gigabytes(size: int) -> str:
    """Bytes as 1.23 GB."""
    return f"{size / 1e9:.2f} GB"


if __name__ == "__main__":
    main()
