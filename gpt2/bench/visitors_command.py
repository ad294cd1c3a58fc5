"""The command line of `python -m gpt2 bench-visitors`."""

from __future__ import annotations

import argparse
import gc
from typing import Any

import torch

from gpt2.bench.measure import weights_of
from gpt2.bench.report import machine
from gpt2.bench.visitors import Company, Visits, measure_visits
from gpt2.checkpoint import read_config
from gpt2.engine import SLOTS
from gpt2.loading import load
from gpt2.precision import ALL_PRECISIONS, AUTO


def add_visitors_bench(commands: argparse._SubParsersAction[Any], sizes: str) -> None:
    """The `bench-visitors` command; `sizes` is the help of --sizes."""
    bench = commands.add_parser(
        "bench-visitors",
        help="what many visitors at once get",
        description="One visitor and many in turns on one model: tokens a second together, and the "
        "95th percentile of the time between two tokens of one text; medians. Every text is "
        "compared with what its visitor gets alone. Sizes that are not downloaded get random "
        "weights.",
    )
    bench.add_argument("--sizes", nargs="+", default=["tiny"], help=sizes)
    bench.add_argument("--precisions", nargs="+", default=[AUTO], choices=[AUTO, *ALL_PRECISIONS])
    bench.add_argument("--visitors", type=int, default=SLOTS, help=f"at once (default: {SLOTS})")
    bench.add_argument("--prompt", type=int, default=32, help="tokens of each (default: 32)")
    bench.add_argument("--new-tokens", type=int, default=64, help="of each (default: 64)")
    bench.add_argument("--rounds", type=int, default=5, help="medians over these (default: 5)")
    bench.set_defaults(run=run_visitors_bench)


def run_visitors_bench(options: argparse.Namespace) -> None:
    """Raises ValueError for numbers out of range, and where a text changed in company."""
    for name, least in (("visitors", 1), ("prompt", 1), ("new_tokens", 2), ("rounds", 1)):
        if getattr(options, name) < least:
            raise ValueError(f"--{name.replace('_', '-')} must be {least} or more")
    visits = Visits(options.visitors, options.prompt, options.new_tokens, options.rounds)
    print(f"{machine()}, {torch.get_num_threads()} threads", flush=True)
    for size in options.sizes:
        with weights_of(size, False) as (folder, kind):
            most = read_config(folder).max_seq_len
            if visits.prompt + visits.new_tokens > most:
                raise ValueError(f"{size} reads {most} tokens: ask for fewer")
            for precision in options.precisions:
                engine = load(str(folder), precision)
                what = f"{size} {engine.precision}, {kind} weights"
                company = measure_visits(engine, visits)
                del engine
                gc.collect()  # one model at a time
                if company.different:
                    raise ValueError(f"{what}: {company.different} texts are not as alone")
                print(f"{what}: {_in_words(company, visits)}", flush=True)


def _in_words(company: Company, visits: Visits) -> str:
    alone, together = company.alone, company.together
    faster = together.tokens_per_second / alone.tokens_per_second
    return (
        f"1 visitor {alone.tokens_per_second:.1f} tokens/s, {visits.visitors} visitors "
        f"{together.tokens_per_second:.1f} together ({faster:.2f}x); 95 % of the pauses under "
        f"{1000 * alone.gap:.1f} ms alone, {1000 * together.gap:.1f} ms together "
        f"({together.gap / alone.gap:.2f}x); all texts as alone"
    )
