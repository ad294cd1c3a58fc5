"""The command line of `python -m gpt2 bench-drafting`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from gpt2.bench.drafting import Foreseeing, gain, kept
from gpt2.bench.measure import weights_of
from gpt2.bench.report import machine
from gpt2.engine import Engine
from gpt2.inference.scheduler import Scheduler
from gpt2.inference.steps import StepSource, check_draft
from gpt2.loading import load
from gpt2.runtime.files import read_text
from gpt2.sampling import GREEDY, SamplingOptions

_PROMPT = "Once upon a time there was a little fox who lived"
_TEMPERATURES = (0.5, 0.8, 1.0)


def add_drafting_bench(commands: argparse._SubParsersAction[Any], sizes: str) -> None:
    """The `bench-drafting` command; `sizes` is the help of --size."""
    bench = commands.add_parser(
        "bench-drafting",
        help="what a draft brings on this machine",
        description="Runs with and without a draft in turn. With --acceptance the draft makes its "
        "passes but is told what to say, so that random weights do; without, both are the real "
        "ones, and --text also says how many guesses two rules would keep on it.",
    )
    bench.add_argument("--size", required=True, help=sizes)
    bench.add_argument("--draft-with", required=True, metavar="SIZE", help="the smaller size")
    bench.add_argument("--precision", default="float32", help="of both (default: float32)")
    bench.add_argument("--acceptance", nargs="+", type=float, default=[], help="0 to 1, each")
    bench.add_argument("--text", type=Path, metavar="FILE", help="a text to guess through")
    bench.add_argument("--new-tokens", type=int, default=96, help="a run (default: 96)")
    bench.add_argument("--rounds", type=int, default=5, help="medians over these (default: 5)")
    bench.set_defaults(run=run_drafting_bench)


def run_drafting_bench(options: argparse.Namespace) -> None:
    """Raises ValueError for two vocabularies, an acceptance out of range, too many tokens."""
    if not all(0 <= rate <= 1 for rate in options.acceptance):
        raise ValueError("--acceptance must be from 0 to 1")
    if options.rounds < 1 or options.new_tokens < 2:
        raise ValueError("--rounds must be 1 or more, --new-tokens 2 or more")
    text = read_text(options.text) if options.text else None
    with weights_of(options.size, False) as (folder, _):
        engine = load(str(folder), options.precision)
    with weights_of(options.draft_with, False) as (folder, _):
        draft = load(str(folder), options.precision)
    check_draft(engine.config, draft.config)
    print(machine())
    if text is not None:
        _print_kept(engine, draft, text)
    ids = engine.encode(_PROMPT)
    if options.acceptance:
        written = [*ids, *engine.generate_ids(ids, options.new_tokens), 1]
        assert isinstance(draft.source, Scheduler)
        for rate in options.acceptance:
            told = Scheduler(Foreseeing(draft.source.slots.executor, written, rate))
            _print_gain(engine, told, ids, GREEDY, options, f"acceptance {rate:g} by construction")
        return
    _print_gain(engine, draft.source, ids, GREEDY, options, "greedy")
    for temperature in _TEMPERATURES:
        sampled = SamplingOptions(temperature, seed=1)
        _print_gain(engine, draft.source, ids, sampled, options, f"temperature {temperature:g}")


def _print_kept(engine: Engine, draft: Engine, text: str) -> None:
    most = min(engine.config.max_seq_len, draft.config.max_seq_len)
    ids = engine.tokenizer.encode(text)[:most]
    for temperature in _TEMPERATURES:
        both = kept(engine, draft, ids, SamplingOptions(temperature, seed=1))
        print(
            f"temperature {temperature:g}, {len(ids)} places of the text: kept by shared noise "
            f"{both.shared_noise:.3f}, by rejection {both.rejection:.3f}"
        )


def _print_gain(
    engine: Engine,
    draft: StepSource,
    ids: list[int],
    sampling: SamplingOptions,
    options: argparse.Namespace,
    what: str,
) -> None:
    found = gain(engine.source, draft, ids, options.new_tokens, sampling, options.rounds)
    print(
        f"{what}: {found.alone:.1f} tokens/s alone, {found.drafted:.1f} drafted: "
        f"{found.speed_up:.2f}x, {found.acceptance:.2f} of the guesses right",
        flush=True,
    )
