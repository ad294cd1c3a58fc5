"""What watching every head costs a decode step at 256 tokens: `python -m tests.attention_cost`.

Random weights in the shape of 124M, in each precision of a CPU. Watched and unwatched runs take
turns; medians.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from gpt2 import Engine, GPT2Config, GPT2Model, load
from gpt2.checkpoint import save_model
from gpt2.engine import Event
from gpt2.fresh_thread import run_in_fresh_thread
from gpt2.precision import PRECISIONS
from gpt2.runtime.device import CPU
from gpt2.runtime.threads import set_threads
from gpt2.sampling import GREEDY
from gpt2.ui.background import Background
from gpt2.ui.frames import Frames
from gpt2.ui.runner import PAUSE
from gpt2.ui.runs import Run

TOKENS, STEPS, ROUNDS = 240, 48, 15


def step_ms(engine: Engine, watched: bool) -> tuple[float, float]:
    """Milliseconds a token, and those of the page's own thread: its frames are made as it does."""
    config = engine.config
    run = Run("x", GREEDY, list(range(TOKENS)), TOKENS, config.num_blocks, config.num_heads)
    run.watched = watched
    frames = Frames(run, engine.tokenizer, "x", config.max_seq_len, STEPS)
    times: list[float] = []

    def work(emit: Callable[[Event], None]) -> None:
        for event in engine.stream(list(run.ids), GREEDY, STEPS, attention=run.wanted):
            emit(event)
            if event.token is not None:
                times.append(time.perf_counter())

    framing = 0.0
    for batch in Background(work, patience=60, pause=PAUSE).batches():
        began = time.thread_time()
        frames.frame(batch)
        framing += (time.thread_time() - began) if batch[0].fed == 1 else 0
    return 1000 * (times[-1] - times[0]) / (STEPS - 1), 1000 * framing / (STEPS - 1)


def main() -> None:
    set_threads()
    with TemporaryDirectory() as folder:
        write_random(Path(folder))
        for precision in PRECISIONS[CPU]:
            print(f"{precision}: {cost(load(folder, precision, device=CPU))}", flush=True)


@run_in_fresh_thread
def write_random(folder: Path) -> None:
    """A thread that has computed would slow down all others (`gpt2.fresh_thread`)."""
    torch.manual_seed(0)
    save_model(GPT2Model.from_config(GPT2Config()), folder, {}, torch.float32)


def cost(engine: Engine) -> str:
    """In words."""
    step_ms(engine, True)
    pairs = [(step_ms(engine, False), step_ms(engine, True)) for _ in range(ROUNDS)]
    ratio = statistics.median(on[0] / off[0] for off, on in pairs)
    off, on, framing = (
        statistics.median(times)
        for times in zip(*((off[0], *on) for off, on in pairs), strict=True)
    )
    return (
        f"watching costs {100 * (ratio - 1):.1f} % of a step of {off:.1f} ms "
        f"({on:.1f} ms watched, {framing:.2f} of a core's for the page)"
    )


if __name__ == "__main__":
    main()
