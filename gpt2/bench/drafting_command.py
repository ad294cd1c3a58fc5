"""What `python -m gpt2 bench-drafting` does; its parameters stand in `gpt2/cli/main.py`."""

from __future__ import annotations

from pathlib import Path

from gpt2.bench.command import check_counts
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


def run_drafting_bench(
    size: str,
    draft_with: str,
    precision: str,
    acceptance: list[float],
    text: Path | None,
    new_tokens: int,
    rounds: int,
) -> None:
    """With a made-up draft that is right in each share of `acceptance`, or else with the real one.

    Raises ValueError for two vocabularies, an acceptance out of range, too many tokens.
    """
    if not all(0 <= rate <= 1 for rate in acceptance):
        raise ValueError("--acceptance must be from 0 to 1")
    check_counts(rounds=(rounds, 1), new_tokens=(new_tokens, 2))
    words = read_text(text) if text else None
    with weights_of(size, False) as (folder, _):
        engine = load(str(folder), precision)
    with weights_of(draft_with, False) as (folder, _):
        draft = load(str(folder), precision)
    check_draft(engine.config, draft.config)
    print(machine())
    if words is not None:
        _print_kept(engine, draft, words)
    ids = engine.encode(_PROMPT)
    if acceptance:
        written = [*ids, *engine.generate_ids(ids, new_tokens), 1]
        assert isinstance(draft.source, Scheduler)
        for rate in acceptance:
            made_up = Scheduler(Foreseeing(draft.source.slots.executor, written, rate))
            _print_gain(
                engine,
                made_up,
                ids,
                GREEDY,
                new_tokens,
                rounds,
                f"acceptance {rate:g} by construction",
            )
        return
    _print_gain(engine, draft.source, ids, GREEDY, new_tokens, rounds, "greedy")
    for temperature in _TEMPERATURES:
        sampled = SamplingOptions(temperature, seed=1)
        _print_gain(
            engine, draft.source, ids, sampled, new_tokens, rounds, f"temperature {temperature:g}"
        )


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
    new_tokens: int,
    rounds: int,
    what: str,
) -> None:
    found = gain(engine.source, draft, ids, new_tokens, sampling, rounds)
    print(
        f"{what}: {found.alone:.1f} tokens/s alone, {found.drafted:.1f} drafted: "
        f"{found.speed_up:.2f}x, {found.acceptance:.2f} of the guesses right",
        flush=True,
    )
