"""What watching every head costs a decode step at 256 tokens: `python -m tests.attention_cost`.

Random weights in the shape of 124M, in each precision of a CPU. Watched and unwatched runs take
turns; medians of their steps.
"""

from __future__ import annotations

import statistics
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from gpt2 import Engine, GPT2Config, GPT2Model, load
from gpt2.apart import apart
from gpt2.checkpoint import save_model
from gpt2.device import CPU
from gpt2.precision import PRECISIONS
from gpt2.sampling import GREEDY
from gpt2.threads import set_threads
from gpt2.ui.frames import Frames
from gpt2.ui.runs import Run

TOKENS, STEPS, ROUNDS = 240, 48, 9


def steps(engine: Engine, watched: bool) -> tuple[list[float], list[float]]:
    """Seconds of the passes, and of what the page makes of their events."""
    config = engine.config
    run = Run("x", GREEDY, list(range(TOKENS)), TOKENS, config.num_blocks, config.num_heads)
    run.watched = watched
    frames = Frames(run, engine.tokenizer, "x", config.max_seq_len, STEPS)
    passes, encoding = [], []
    events = engine.stream(list(run.ids), GREEDY, STEPS, attention=run.wanted)
    began = time.perf_counter()
    for event in events:
        came = time.perf_counter()
        frames.frame([event])
        ended = time.perf_counter()
        if event.fed == 1:
            passes.append(came - began)
            encoding.append(ended - came)
        began = time.perf_counter()
    return passes, encoding


def main() -> None:
    set_threads()
    with TemporaryDirectory() as folder:
        write_random(Path(folder))
        for precision in PRECISIONS[CPU]:
            print(f"{precision}: {cost(load(folder, precision, device=CPU))}", flush=True)


@apart
def write_random(folder: Path) -> None:
    """A thread that has computed would slow down all others (`gpt2.apart`)."""
    torch.manual_seed(0)
    save_model(GPT2Model.from_config(GPT2Config()), folder, {}, torch.float32)


def cost(engine: Engine) -> str:
    """In words."""
    steps(engine, True)
    times: dict[tuple[bool, str], list[float]] = {}
    for _ in range(ROUNDS):
        for watched in (False, True):
            passes, encoding = steps(engine, watched)
            times.setdefault((watched, "pass"), []).extend(passes)
            times.setdefault((watched, "frame"), []).extend(encoding)
    medians = {key: 1000 * statistics.median(values) for key, values in times.items()}
    off, on = (medians[w, "pass"] + medians[w, "frame"] for w in (False, True))
    parts = ", ".join(
        f"{what} {medians[False, what]:.2f} -> {medians[True, what]:.2f} ms"
        for what in ("pass", "frame")
    )
    return f"watching costs {100 * (on / off - 1):.1f} % of a step of {off:.1f} ms ({parts})"


if __name__ == "__main__":
    main()
