"""What `python -m gpt2 bench-visitors` does; its parameters stand in `gpt2/cli/main.py`."""

from __future__ import annotations

import gc

import torch

from gpt2.bench.command import check_counts
from gpt2.bench.measure import weights_of
from gpt2.bench.report import machine
from gpt2.bench.visitors import BatchedSpeed, Visits, measure_visits
from gpt2.checkpoint import read_config
from gpt2.engine import SLOTS
from gpt2.loading import load


def run_visitors_bench(
    sizes: list[str],
    precisions: list[str],
    visitors: int | None,
    prompt: int,
    new_tokens: int,
    rounds: int,
) -> None:
    """Raises ValueError for numbers out of range, and where a text changed in a batch."""
    visitors = SLOTS if visitors is None else visitors
    check_counts(
        visitors=(visitors, 1), prompt=(prompt, 1), new_tokens=(new_tokens, 2), rounds=(rounds, 1)
    )
    visits = Visits(visitors, prompt, new_tokens, rounds)
    print(f"{machine()}, {torch.get_num_threads()} threads", flush=True)
    for size in sizes:
        with weights_of(size, False) as (folder, kind):
            most = read_config(folder).max_seq_len
            if visits.prompt + visits.new_tokens > most:
                raise ValueError(f"{size} reads {most} tokens: ask for fewer")
            for precision in precisions:
                engine = load(str(folder), precision)
                what = f"{size} {engine.precision}, {kind} weights"
                speeds = measure_visits(engine, visits)
                del engine
                gc.collect()  # one model at a time
                if speeds.different:
                    raise ValueError(f"{what}: {speeds.different} texts are not as alone")
                print(f"{what}: {_in_words(speeds, visits)}", flush=True)


def _in_words(speeds: BatchedSpeed, visits: Visits) -> str:
    alone, batched = speeds.alone, speeds.batched
    faster = batched.tokens_per_second / alone.tokens_per_second
    return (
        f"1 visitor {alone.tokens_per_second:.1f} tokens/s, {visits.visitors} visitors "
        f"{batched.tokens_per_second:.1f} together ({faster:.2f}x); 95 % of the pauses under "
        f"{1000 * alone.gap:.1f} ms alone, {1000 * batched.gap:.1f} ms together "
        f"({batched.gap / alone.gap:.2f}x); all texts as alone"
    )
