"""The command line of `python -m gpt2 bench`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from gpt2.bench.measure import Plan, measure
from gpt2.bench.plot import as_svg
from gpt2.bench.report import as_json, as_table, machine
from gpt2.precision import ALL_PRECISIONS, PRECISIONS
from gpt2.runtime.device import wanted_device
from gpt2.runtime.files import check_writable

PRECISION_HELP = "all that the device has, unless named (GPT2_DEVICE: cpu or cuda)"


def add_bench(commands: argparse._SubParsersAction[Any], sizes: str) -> None:
    """The `bench` command; `sizes` is the help of --sizes."""
    bench = commands.add_parser(
        "bench",
        help="how fast this machine is",
        description="Decode speed, time to the first token, loading and memory of every size in "
        "every precision, each in a process of its own, asked in turn; medians. Sizes that are not "
        "downloaded are measured with random weights, which cost the same.",
    )
    bench.add_argument("--sizes", nargs="+", default=["tiny", "small"], help=sizes)
    bench.add_argument("--precisions", nargs="+", choices=ALL_PRECISIONS, help=PRECISION_HELP)
    bench.add_argument("--prompts", nargs="+", type=int, default=[32, 384], help="tokens")
    bench.add_argument("--new-tokens", type=int, default=64, help="decoded each time (default: 64)")
    bench.add_argument("--rounds", type=int, default=5, help="medians over these (default: 5)")
    bench.add_argument("--random", action="store_true", help="random weights for every size")
    bench.add_argument("--json", type=Path, metavar="FILE", help="write all numbers")
    bench.add_argument("--plot", type=Path, metavar="FILE", help="write an SVG")
    bench.set_defaults(run=run_bench)


def run_bench(options: argparse.Namespace) -> None:
    """Raises ValueError for numbers out of range, files that cannot be written, and for a
    configuration that does not run.
    """
    for name, least in (("new_tokens", 2), ("rounds", 1)):
        if getattr(options, name) < least:
            raise ValueError(f"--{name.replace('_', '-')} must be {least} or more")
    if min(options.prompts) < 1:
        raise ValueError("--prompts must be 1 or more")
    for file in filter(None, (options.json, options.plot)):
        check_writable(file)  # before minutes are spent
    plan = Plan(
        options.sizes,
        options.precisions or list(PRECISIONS[wanted_device()]),
        sorted(set(options.prompts)),
        options.new_tokens,
        options.rounds,
        options.random,
    )
    results = measure(plan, lambda words: print(words, file=sys.stderr))
    print(f"{machine()}, {results[0].threads} threads\n\n{as_table(results)}")
    if options.json:
        options.json.write_text(as_json(results) + "\n", "utf-8")
    if options.plot:
        title = "Tokens per second against size, and what memory bandwidth allows"
        options.plot.write_text(as_svg(results, title), "utf-8")
