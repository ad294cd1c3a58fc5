"""What watching every head costs a decode step at 256 tokens: `python -m tests.attention_cost`.

Random weights in the shape of 124M, in each precision of a CPU. Watched and unwatched runs take
turns; medians.
"""

from __future__ import annotations

import statistics
import threading
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from gpt2 import Engine, GPT2Config, GPT2Model, load
from gpt2.checkpoint import save_model
from gpt2.precision import PRECISIONS
from gpt2.runtime.device import CPU
from gpt2.runtime.fresh_thread import run_in_fresh_thread
from gpt2.runtime.threads import set_threads
from gpt2.sampling import GREEDY
from gpt2.ui.session.log_route import LogReader
from gpt2.ui.session.maps import MapView
from gpt2.ui.session.run_log import RunLog

TOKENS, STEPS, ROUNDS = 240, 48, 15
SECONDS_BETWEEN = 0.02  # two looks of a reader (gpt2.ui.session.log_route)


def step_ms(engine: Engine, watched: bool) -> tuple[float, float]:
    """Milliseconds a token, and those of the page's own thread: what a reader is sent is made."""
    config = engine.config
    ids = list(range(TOKENS))
    log = RunLog(
        "x",
        GREEDY,
        ids,
        TOKENS,
        config.num_blocks,
        config.num_heads,
        watched=watched,
        tokenizer=engine.tokenizer,
        context=config.max_seq_len,
    )
    times: list[float] = []
    log.begin(log, GREEDY, STEPS)

    def write() -> None:
        for event in engine.stream(ids, GREEDY, STEPS, attention=log.wanted):
            log.put(log, event)
            if event.token is not None:
                times.append(time.perf_counter())

    reader = LogReader(log, 0, 0, MapView() if watched else None, 0, 0 if watched else None)
    thread = threading.Thread(target=write)
    thread.start()
    reading, pause = 0.0, threading.Event()
    while log.running:
        log.wait(reader.version, 60)
        pause.wait(SECONDS_BETWEEN)
        began = time.thread_time()
        reader.next_frames()
        reading += (time.thread_time() - began) if times else 0
    thread.join()
    return 1000 * (times[-1] - times[0]) / (STEPS - 1), 1000 * reading / (STEPS - 1)


def main() -> None:
    set_threads()
    with TemporaryDirectory() as folder:
        write_random(Path(folder))
        for precision in PRECISIONS[CPU]:
            print(f"{precision}: {cost(load(folder, precision, device=CPU))}", flush=True)


@run_in_fresh_thread
def write_random(folder: Path) -> None:
    """A thread that has computed would slow down all others (`gpt2.runtime.fresh_thread`)."""
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
