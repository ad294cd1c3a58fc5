"""python -m tests.recorded_speed SIZE...: a token's time with recorded blocks and without.

In turns. Each size, a name or a folder, in every precision; medians of 9 rounds of 64 tokens.
"""

from __future__ import annotations

import statistics
import sys
import time
from pathlib import Path

import torch

from gpt2.apart import apart
from gpt2.checkpoint import fetch, find_source
from gpt2.model import GPT2Model, KVCache
from gpt2.precision import PRECISIONS
from gpt2.precision.recorded import RecordedBlock, record_blocks
from gpt2.runtime.device import CPU

ROUNDS, PROMPT, TOKENS = 9, 32, 64


@torch.inference_mode()
def token_ms(model: GPT2Model) -> float:
    """Of one greedy token, milliseconds."""
    cache = KVCache(model.config, PROMPT + TOKENS)
    hidden = model.hidden(torch.arange(PROMPT)[None], cache)
    began = time.perf_counter()
    for _ in range(TOKENS):
        token = model.wte.logits(hidden[:, -1:])[0, 0].argmax()
        hidden = model.hidden(token.view(1, 1), cache)
    return (time.perf_counter() - began) / TOKENS * 1000


@apart
def compare(folder: Path, precision: str) -> str:
    """One line of words."""
    load = PRECISIONS[CPU][precision]
    plain, recorded = load(folder), load(folder)
    began = time.perf_counter()
    record_blocks(recorded)
    seconds = time.perf_counter() - began
    if not isinstance(recorded.h[0], RecordedBlock):
        return f"{precision}: not recorded; {token_ms(plain):.2f} ms from Python"
    times: list[tuple[float, float]] = [
        (token_ms(plain), token_ms(recorded)) for _ in range(ROUNDS + 1)
    ]
    one, other = (statistics.median(column) for column in zip(*times[1:], strict=True))
    return (
        f"{precision}: {one:.2f} ms from Python, {other:.2f} recorded ({one / other:.2f} x); "
        f"recording took {seconds:.2f} s"
    )


if __name__ == "__main__":
    for size in sys.argv[1:] or ["tiny", "mini"]:
        for precision in PRECISIONS[CPU]:
            print(size, compare(fetch(find_source(size)), precision), flush=True)
