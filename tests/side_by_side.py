"""python -m tests.side_by_side: two columns together against one after the other, and switching.

Two models of Small's real shape with random weights; nothing is downloaded.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from pathlib import Path

from gpt2 import SIZES, Engine, SamplingOptions, load
from gpt2.precision import weight_bytes
from gpt2.residency import Residency
from gpt2.round_robin import RoundRobin
from tests.hub_standin import write_gpt2_folder

PROMPT = "Once upon a time there was a little fox who lived in a wood by the river."
TOKENS = 40
ROUNDS = 5


def main() -> None:
    """Print medians over `ROUNDS`, the contenders taking turns."""
    with tempfile.TemporaryDirectory() as name:
        folders = [Path(name) / "a", Path(name) / "b"]
        for seed, folder in enumerate(folders):
            write_gpt2_folder(folder, SIZES["small"].config, seed=seed)
        _columns([load(str(folder)) for folder in folders])
        for precision in ("float32", "int8"):
            _switching([str(folder) for folder in folders], precision)


def _columns(engines: list[Engine]) -> None:
    alone: list[float] = []
    together: list[float] = []
    first_alone: list[float] = []
    first_together: list[float] = []
    for _ in range(ROUNDS):
        times = [_write([engine]) for engine in engines]
        alone.append(sum(total for total, _ in times))
        first_alone.append(max(firsts[0] for _, firsts in times))
        total, firsts = _write(engines)
        together.append(total)
        first_together.append(max(firsts))
    ratios = [b / a for a, b in zip(alone, together, strict=True)]
    print(
        f"{TOKENS} tokens each, two columns: {statistics.median(together):.2f} s together, "
        f"{statistics.median(alone):.2f} s one after the other: {statistics.median(ratios):.3f} x"
    )
    ratios = [b / a for a, b in zip(first_alone, first_together, strict=True)]
    print(
        f"the later first token: {1000 * statistics.median(first_together):.0f} ms together, "
        f"{1000 * statistics.median(first_alone):.0f} ms alone: {statistics.median(ratios):.2f} x"
    )


def _write(engines: list[Engine]) -> tuple[float, list[float]]:
    """Seconds until all have written, and until each one's first token."""
    together: RoundRobin[int] = RoundRobin()
    began = time.perf_counter()
    for number, engine in enumerate(engines):
        together.join(number, engine.stream(PROMPT, SamplingOptions(seed=1), TOKENS, paced=True))
    firsts: dict[int, float] = {}
    while together.running:
        for number, event in together.round():
            if isinstance(event, Exception):
                raise event
            if event.token is not None:
                firsts.setdefault(number, time.perf_counter() - began)
    return time.perf_counter() - began, list(firsts.values())


def _switching(names: list[str], precision: str) -> None:
    """One fits at a time: every use of the other one drops the first and loads from the cache."""
    size = weight_bytes(SIZES["small"].config, precision)
    residency = Residency(int(1.5 * size), lambda name, _: load(name, precision))
    times = []
    for name in names * (ROUNDS + 1):
        began = time.perf_counter()
        with residency.engine(name, size) as engine:
            engine.generate_ids([1, 2, 3], 1)
            times.append(time.perf_counter() - began)
    if residency.evictions != len(times) - 1:
        raise AssertionError(f"{residency.evictions} of {len(times) - 1} switches dropped a model")
    median = statistics.median(times[2:])
    print(
        f"switching to the other, {precision}, {size / 1e9:.2f} GB, to its first token: "
        f"{median:.2f} s"
    )


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "2")
    main()
