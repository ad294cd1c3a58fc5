"""python -m gpt2 generate: the prompt, then every piece of text as it comes."""

from __future__ import annotations

import sys

from gpt2.cli.download import DownloadBar
from gpt2.loading import load
from gpt2.sampling import SamplingOptions


def generate(
    prompt: str,
    size: str,
    sampling: SamplingOptions,
    new_tokens: int,
    precision: str,
    draft_with: str | None,
) -> None:
    """Text on standard output; on standard error what a draft brought and why the text ends."""
    with DownloadBar() as bar:
        engine = load(size, precision, progress=bar)
        draft = load(draft_with, precision, progress=bar) if draft_with else None
    events = engine.stream(prompt, sampling, new_tokens, draft=draft)
    print(prompt, end="", flush=True)
    right: list[bool] = []
    speed_up = None
    for event in events:
        print(event.text, end="", flush=True)
        if event.guess is not None:
            right.append(event.guess == event.token)
            speed_up = event.speed_up
    print()
    if speed_up:
        print(
            f"{draft_with} guessed {sum(right)} of {len(right)} tokens right: "
            f"{speed_up:.2f} times as fast as without a draft.",
            file=sys.stderr,
        )
    if event.finish == "context":
        most = engine.config.max_seq_len
        print(f"The context is full: this model reads {most:,} tokens at most.", file=sys.stderr)
