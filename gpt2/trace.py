"""A text with all that is needed to compute it again, as one file: `python -m gpt2 replay FILE`.

The file is `MAGIC`, the length of a JSON header as u32, the header, the ids as u32, the seconds of
each since its stretch began as f32 (0 where nobody wrote it), then attention rows: of all layers
and heads (L, H, i + 1) for the first `rows` tokens, a byte a weight (`gpt2.interpret.row_codec`),
little-endian.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np

from gpt2.engine import Engine, Off
from gpt2.inference.executor import Head
from gpt2.inference.layer_stack import stacked
from gpt2.interpret.row_codec import Levels, to_levels
from gpt2.sampling import SamplingOptions

MAGIC = b"GPT2TRC1"
MOST_ROW_BYTES = 16_000_000  # in one file; of a longer text the first rows
_MOST_BYTES = 100_000_000
_MOST_TOKENS = 100_000
_LENGTH = struct.Struct("<I")
_WRONG = "This is no trace of this program"


@dataclass(frozen=True, slots=True)
class Stretch:
    """What one press of a button wrote: from place `start` on, at most `limit` tokens."""

    start: int
    options: SamplingOptions
    limit: int
    draft: str = ""  # who guessed ahead, by the name people read


@dataclass(frozen=True, slots=True)
class Trace:
    """`weights` is the sha256 of their files, `prompt` how many of `ids` were read and not written.

    `rows[i]` is (L, H, i + 1); there may be fewer than tokens.
    """

    size: str
    weights: str
    precision: str
    layers: int
    heads: int
    prompt: int
    off: tuple[Head, ...]
    instead: str  # what stands in for them: zero or mean
    stretches: tuple[Stretch, ...]
    ids: tuple[int, ...]
    seconds: tuple[float, ...] = ()
    rows: tuple[Levels, ...] = field(default=(), repr=False)

    def packed(self) -> bytes:
        """The file."""
        rows = self.rows[: self._rows_that_fit()]
        header = {
            "size": self.size,
            "weights": self.weights,
            "precision": self.precision,
            "layers": self.layers,
            "heads": self.heads,
            "prompt": self.prompt,
            "off": [list(head) for head in self.off],
            "instead": self.instead,
            "stretches": [asdict(stretch) for stretch in self.stretches],
            "tokens": len(self.ids),
            "rows": len(rows),
        }
        said = json.dumps(header).encode()
        seconds = np.zeros(len(self.ids), "<f4")
        seconds[: len(self.seconds)] = self.seconds
        return b"".join(
            [
                MAGIC,
                _LENGTH.pack(len(said)),
                said,
                np.array(self.ids, "<u4").tobytes(),
                seconds.tobytes(),
                *(row.tobytes() for row in rows),
            ]
        )

    def _rows_that_fit(self) -> int:
        total = 0
        for count, row in enumerate(self.rows):
            total += row.nbytes
            if total > MOST_ROW_BYTES:
                return count
        return len(self.rows)


def parse(data: bytes) -> Trace:
    """`Trace.packed` undone. Raises ValueError with a sentence for anything else."""
    try:
        return _parsed(data)
    except (KeyError, TypeError, ValueError, struct.error, OverflowError, RecursionError) as error:
        raise ValueError(f"{_WRONG}, or it was cut off on its way.") from error


def _parsed(data: bytes) -> Trace:
    if not data.startswith(MAGIC) or len(data) > _MOST_BYTES:
        raise ValueError
    at = len(MAGIC) + _LENGTH.size
    (length,) = _LENGTH.unpack_from(data, len(MAGIC))
    header: dict[str, Any] = json.loads(data[at : at + length])
    at += length
    tokens, rows = _count(header["tokens"]), _count(header["rows"])
    layers, heads = _count(header["layers"]), _count(header["heads"])
    if rows > tokens or len(data) != at + 8 * tokens + layers * heads * rows * (rows + 1) // 2:
        raise ValueError
    ids = np.frombuffer(data, "<u4", tokens, at)
    seconds = np.frombuffer(data, "<f4", tokens, at + 4 * tokens)
    at += 8 * tokens
    found = []
    for i in range(rows):
        size = layers * heads * (i + 1)
        found.append(np.frombuffer(data, np.uint8, size, at).reshape(layers, heads, i + 1))
        at += size
    return Trace(
        str(header["size"]),
        str(header["weights"]),
        str(header["precision"]),
        layers,
        heads,
        _count(header["prompt"]),
        tuple((_count(layer), _count(head)) for layer, head in header["off"]),
        str(header["instead"]),
        tuple(_stretch(each, tokens) for each in header["stretches"]),
        tuple(ids.tolist()),
        tuple(seconds.tolist()),
        tuple(found),
    )


def _stretch(value: dict[str, Any], tokens: int) -> Stretch:
    start = _count(value["start"])
    if start > tokens:
        raise ValueError
    return Stretch(
        start, SamplingOptions(**value["options"]), _count(value["limit"]), str(value["draft"])
    )


def _count(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= _MOST_TOKENS:
        raise ValueError
    return value


@dataclass(frozen=True, slots=True)
class Replay:
    """What came out the second time.

    `written` tokens were chosen and `same_ids` of them are the same as the trace's; `first_other`
    is the first place that differs. Of `rows` that the trace holds `same_rows` are the same to the
    byte, and no byte is further off than `most_levels`.
    """

    written: int
    same_ids: int
    first_other: int | None
    rows: int
    same_rows: int
    most_levels: int


def replay(
    engine: Engine, trace: Trace, emit: Callable[[int], None] = lambda place: None
) -> Replay:
    """Write the text of `trace` again, as it was written, and compare.

    Each stretch goes on from the trace's own ids, so that one difference is not told twice; `emit`
    hears of each place. Raises ValueError for a text that this model cannot have written.
    """
    config = engine.config
    if (config.num_blocks, config.num_heads) != (trace.layers, trace.heads):
        raise ValueError(
            f"The trace is of {trace.layers} layers with {trace.heads} heads, this model has "
            f"{config.num_blocks} with {config.num_heads}."
        )
    if max(trace.ids, default=0) >= config.vocab_size or len(trace.ids) > config.max_seq_len:
        raise ValueError("The trace holds tokens that this model does not have.")
    off: Off = trace.off
    if trace.off and trace.instead == "mean":
        off = engine.head_means(trace.ids[: trace.prompt], trace.off)
    rows: dict[int, Levels] = {}
    same, written, other = 0, 0, None
    ends = [stretch.start for stretch in trace.stretches] + [len(trace.ids)]
    for stretch, (start, end) in zip(trace.stretches, pairwise(ends), strict=True):
        again = _again(engine, trace, stretch, end - start, off, rows)
        for place, token in zip(range(start, end), again, strict=False):
            emit(place)
            same += token == trace.ids[place]
            if token != trace.ids[place] and other is None:
                other = place
        if len(again) < end - start and other is None:
            other = start + len(again)
        written += end - start
    return Replay(written, same, other, *_compared(trace.rows, rows, other))


def _again(
    engine: Engine,
    trace: Trace,
    stretch: Stretch,
    count: int,
    off: Off,
    rows: dict[int, Levels],
) -> list[int]:
    """The ids of one stretch; its rows go to `rows`, where one that is there stays."""
    ids, fed = list[int](), 0
    for event in engine.stream(
        trace.ids[: stretch.start],
        stretch.options,
        count,
        attention=range(trace.layers),
        off=off,
    ):
        if event.fed:
            levels = to_levels(stacked(event.attention))
            for t in range(event.fed):
                rows.setdefault(fed + t, levels[:, :, t, : fed + t + 1])
            fed += event.fed
        if event.token is not None:
            ids.append(event.token)
    return ids


def _compared(
    old: Sequence[Levels], new: dict[int, Levels], other: int | None
) -> tuple[int, int, int]:
    """How many rows there are to compare, how many are the same, and how far off the rest is.

    From the first other id on, rows are of another text.
    """
    count = min(len(old), len(new), len(old) if other is None else other)
    apart = [
        int(np.abs(old[i].astype(np.int16) - new[i].astype(np.int16)).max()) for i in range(count)
    ]
    return count, sum(most == 0 for most in apart), max(apart, default=0)
