"""What `python -m gpt2 bench` does; its parameters stand in `gpt2/cli/main.py`."""

from __future__ import annotations

import sys
from pathlib import Path

from gpt2.bench.measure import Plan, measure
from gpt2.bench.plot import as_svg
from gpt2.bench.report import as_json, as_table, machine
from gpt2.precision import ALL_PRECISIONS, PRECISIONS
from gpt2.runtime.device import wanted_device
from gpt2.runtime.files import check_writable


def run_bench(
    sizes: list[str],
    precisions: list[str],
    prompts: list[int],
    new_tokens: int,
    rounds: int,
    random: bool,
    json: Path | None,
    plot: Path | None,
) -> None:
    """Measure in every one of `precisions`, or in all that the device has; files as asked.

    Raises ValueError for numbers out of range, files that cannot be written, and for a
    configuration that does not run.
    """
    check_counts(new_tokens=(new_tokens, 2), rounds=(rounds, 1), prompts=(min(prompts), 1))
    if wrong := [name for name in precisions if name not in ALL_PRECISIONS]:
        raise ValueError(f"--precisions must be of {', '.join(ALL_PRECISIONS)}, not {wrong[0]!r}")
    for file in filter(None, (json, plot)):
        check_writable(file)  # before minutes are spent
    plan = Plan(
        sizes,
        precisions or list(PRECISIONS[wanted_device()]),
        sorted(set(prompts)),
        new_tokens,
        rounds,
        random,
    )
    results = measure(plan, lambda words: print(words, file=sys.stderr))
    print(f"{machine()}, {results[0].threads} threads\n\n{as_table(results)}")
    if json:
        json.write_text(as_json(results) + "\n", "utf-8")
    if plot:
        title = "Tokens per second against size, and what memory bandwidth allows"
        plot.write_text(as_svg(results, title), "utf-8")


def check_counts(**counts: tuple[int, int]) -> None:
    """Raises ValueError for the first option whose value (first) is below its least (second)."""
    for name, (value, least) in counts.items():
        if value < least:
            raise ValueError(f"--{name.replace('_', '-')} must be {least} or more")
