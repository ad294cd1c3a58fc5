"""`python -m gpt2 replay FILE`: compute an exported text again and say what is the same."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gpt2.checkpoint import Progress, fetch, find_source, weights_digest
from gpt2.loading import load
from gpt2.trace import Replay, Trace, parse, replay


def add_replay(
    commands: Any, bar: Callable[[], Callable[[Progress], None]], size_help: str
) -> None:
    """The command, on the command line that is being built; `bar` makes what shows a download."""
    command = commands.add_parser("replay", help="compute a saved trace again and compare")
    command.add_argument("file", type=Path, help="a trace that the page has saved")
    command.add_argument("--size", help=f"another model than the trace names: {size_help}")
    command.add_argument("--precision", help="another precision than the trace was made with")

    def run(options: argparse.Namespace) -> None:
        said, same = replayed(options.file, options.size, options.precision, bar())
        print(said)
        if not same:
            sys.exit(1)

    command.set_defaults(run=run)


def replayed(
    file: Path, size: str | None, precision: str | None, progress: Callable[[Progress], None]
) -> tuple[str, bool]:
    """What is to be said, and whether all is the same. Raises ValueError, CheckpointError."""
    try:
        trace = parse(file.read_bytes())
    except OSError as error:
        raise ValueError(f"{file} cannot be read: {error.strerror}.") from None
    source = find_source(size or trace.size)
    digest = weights_digest(fetch(source, progress))
    engine = load(size or trace.size, precision or trace.precision, progress=progress)
    found = replay(engine, trace)
    said = [*_weights(trace, digest), *_precision(trace, engine.precision), *words(found)]
    return "\n".join(said), found.same_ids == found.written and found.same_rows == found.rows


def _weights(trace: Trace, digest: str) -> list[str]:
    if digest == trace.weights:
        return [f"{trace.size}, the same weights (sha256 {digest[:12]}…)."]
    return [
        f"{trace.size}, OTHER weights: the trace was made with sha256 {trace.weights[:12]}…, "
        f"these are {digest[:12]}…."
    ]


def _precision(trace: Trace, precision: str) -> list[str]:
    same = precision == trace.precision
    return [f"Computed in {precision}" + ("." if same else f", the trace in {trace.precision}.")]


def words(found: Replay) -> list[str]:
    """What came out, in sentences."""
    ids = f"{found.same_ids} of {found.written} written tokens are the same"
    if found.first_other is not None:
        ids += f"; the first other one is token {found.first_other}"
    rows = f"{found.same_rows} of {found.rows} attention rows are the same to the byte"
    if found.same_rows < found.rows:
        rows += f"; no byte of 255 is further off than {found.most_levels}"
    return [f"{ids}.", f"{rows}."]
