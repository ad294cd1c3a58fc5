"""`python -m gpt2 replay FILE`: compute an exported text again and say what is the same."""

from __future__ import annotations

from pathlib import Path

from gpt2.checkpoint import fetch, find_source, weights_digest
from gpt2.cli.download import DownloadBar
from gpt2.loading import load
from gpt2.trace import Replay, Trace, parse, replay


def print_replay(file: Path, size: str | None = None, precision: str | None = None) -> bool:
    """Say what is the same of the trace in `file`; whether all is.

    `size` and `precision` stand in for the trace's own. Raises ValueError, CheckpointError.
    """
    try:
        trace = parse(file.read_bytes())
    except OSError as error:
        raise ValueError(f"{file} cannot be read: {error.strerror}.") from None
    source = find_source(size or trace.size)
    with DownloadBar() as bar:
        digest = weights_digest(fetch(source, bar))
        engine = load(size or trace.size, precision or trace.precision, progress=bar)
    found = replay(engine, trace)
    for sentence in (
        *_weights(trace, digest),
        *_precision(trace, engine.precision),
        *words(found),
    ):
        print(sentence)
    return found.same_ids == found.written and found.same_rows == found.rows


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
