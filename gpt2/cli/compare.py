"""python -m gpt2 compare: texts side by side in the terminal, and a table of what they took."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from gpt2.checkpoint import CheckpointError, Progress, fetch, find_source, read_config
from gpt2.cli.download import DownloadBar
from gpt2.config import SIZES, GPT2Config
from gpt2.engine import Engine, Event
from gpt2.loading import load
from gpt2.precision import choose_precision, weight_bytes
from gpt2.residency import Residency, cache_bytes, memory_budget
from gpt2.round_robin import RoundRobin
from gpt2.runtime.device import wanted_device
from gpt2.runtime.units import format_bytes
from gpt2.sampling import SamplingOptions
from gpt2.scoring import score

_GAP = "  "


@dataclass(slots=True)
class _Column:
    name: str
    title: str
    text: str
    config: GPT2Config | None = None
    engine: Engine | None = None
    memory: int = 0
    event: Event | None = None
    first: float | None = None
    error: Exception | None = None

    @contextmanager
    def failing_alone(self) -> Iterator[None]:
        """A size that cannot be had says so in its column; the others go on."""
        try:
            yield
        except (CheckpointError, ValueError) as error:
            self.error = error

    def take(self, event: Event | Exception) -> None:
        if isinstance(event, Exception):
            self.error = event
            return
        self.event = event
        self.text += event.text
        if self.first is None and event.token is not None:
            self.first = event.seconds

    @property
    def shown(self) -> str:
        return f"{self.text}\n\n{self.error}" if self.error else self.text


def compare(
    prompt: str, names: Sequence[str], sampling: SamplingOptions, new_tokens: int, precision: str
) -> None:
    """Continue `prompt` by every size of `names`, all with the same noise; then print a table.

    Raises ValueError and, before anything is loaded, OutOfMemory; CheckpointError where no size at
    all can be had.
    """
    if not 2 <= len(names) <= 4 or len(set(names)) < len(names):
        raise ValueError(f"--sizes takes two to four different sizes, not {' '.join(names)}.")
    columns = [_Column(name, find_source(name).title, prompt) for name in names]
    turns: RoundRobin[int] = RoundRobin()
    with DownloadBar() as bar:
        _measure(columns, precision, bar)
        for number, column in enumerate(columns):
            if column.error is None:
                with column.failing_alone():
                    engine = column.engine = load(column.name, precision, bar)
                    events = engine.stream(prompt, sampling, new_tokens, paced=True)
                    turns.join(number, events)
    if not turns.running and columns[0].error:
        raise columns[0].error
    _write(turns, columns)
    _print_table(columns, prompt)


def _measure(columns: list[_Column], precision: str, progress: Callable[[Progress], None]) -> None:
    """What every size needs. Raises OutOfMemory, before anything is loaded or, where its shape is
    known, downloaded.
    """
    device = wanted_device()
    choose_precision(precision, GPT2Config(), device)  # a wrong name is no affair of one column
    for column in columns:
        with column.failing_alone():
            config = column.config = _shape_of(column.name, progress)
            weights = weight_bytes(config, choose_precision(precision, config, device))
            column.memory = weights + cache_bytes(config, config.max_seq_len)
    Residency(memory_budget(device)).check({column.title: column.memory for column in columns})


def _shape_of(name: str, progress: Callable[[Progress], None]) -> GPT2Config:
    if name in SIZES:
        return SIZES[name].config
    return read_config(fetch(find_source(name), progress))


def _write(turns: RoundRobin[int], columns: list[_Column]) -> None:
    """On a terminal the columns grow in place; in a file or a pipe they follow each other."""
    live, drawn = sys.stdout.isatty(), 0
    while turns.running:
        for number, event in turns.round():
            columns[number].take(event)
        if live:
            drawn = _draw(columns, drawn)
    for column in [] if live else columns:
        print(f"{column.title}\n{column.shown}\n")


def _draw(columns: list[_Column], drawn: int) -> int:
    """Draw over the last picture; how many lines it takes now, at most the screen's."""
    screen = shutil.get_terminal_size()
    width = (screen.columns - len(_GAP) * (len(columns) - 1)) // len(columns)
    lines = [_wrapped(column.shown, width) for column in columns]
    height = min(max(drawn - 1, *map(len, lines)), screen.lines - 2)
    rows = [_GAP.join(column.title[:width].ljust(width) for column in columns)]
    for row in range(height):
        cells = (own[-height:][row : row + 1] or [""] for own in lines)
        rows.append(_GAP.join(cell[0].ljust(width) for cell in cells))
    up = f"\x1b[{drawn}A" if drawn else ""
    print(up + "".join(f"\x1b[K{row.rstrip()}\n" for row in rows), end="", flush=True)
    return len(rows)


def _wrapped(text: str, width: int) -> list[str]:
    return [line for part in text.split("\n") for line in textwrap.wrap(part, width) or [""]]


def _print_table(columns: list[_Column], prompt: str) -> None:
    head = ("size", "parameters", "memory", "tokens/s", "first token", "bits per byte of prompt")
    rows = [head, *(_row(column, prompt) for column in columns)]
    widths = [max(len(row[at]) for row in rows) for at in range(len(head))]
    print()
    for row in rows:
        cells = (cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))
        print(_GAP.join((row[0].ljust(widths[0]), *cells)))


def _row(column: _Column, prompt: str) -> tuple[str, ...]:
    speed = column.event.tokens_per_second if column.event else None
    bits = None
    if prompt and column.engine and column.error is None:
        bits = score(column.engine, prompt).bits_per_byte
    return (
        column.title,
        f"{column.config.num_parameters / 1e6:,.1f} M" if column.config else "-",
        format_bytes(column.memory) if column.config else "-",
        "-" if speed is None else f"{speed:,.1f}",
        "-" if column.first is None else f"{1000 * column.first:,.0f} ms",
        "-" if bits is None else f"{bits:.4f}",
    )
