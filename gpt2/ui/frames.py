"""From engine events to what one update of the page says. Only what grew is sent."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from gpt2.checkpoint import Progress
from gpt2.engine import Event, Finish
from gpt2.tokenizer import Tokenizer
from gpt2.ui.runs import Run
from gpt2.ui.wire import encode_rows, pack_rows, wire_tokens

Value = dict[str, Any]


def note(state: str, sentence: str) -> Value:
    """A message of the Output panel that touches no text."""
    return {"run": None, "state": state, "note": sentence}


def loading_sentence(title: str, progress: Progress) -> str:
    """How far a download is, in megabytes, speed and time left."""
    if progress.done == 0:
        return f"{title}: asking the hub."
    done, total = progress.done / 1e6, progress.total / 1e6
    left = "" if progress.seconds_left is None else f", {_duration(progress.seconds_left)} left"
    speed = f"{progress.bytes_per_second / 1e6:.1f} MB/s"
    return f"{title}: {done:,.0f} of {total:,.0f} MB, {speed}{left}"


def finish_sentence(finish: Finish, title: str, context: int) -> str:
    """Why the text ends, where the numbers do not say it."""
    if finish == "context":
        return (
            f"The context is full: {title} reads {context:,} tokens at most. The text is kept; "
            "to go on, start again from its last part."
        )
    return f"{title} ended the text here itself." if finish == "end of text" else ""


class Frames:
    """Builds the two views' values for one run; remembers what was already sent."""

    def __init__(self, run: Run, tokenizer: Tokenizer, title: str, context: int, limit: int):
        self.run = run
        self._tokenizer = tokenizer
        self._title = title
        self._context = context
        self._limit = limit
        self._before = len(run.ids)  # a continued run shows its earlier tokens already
        self._sent = 0
        self._known = run.read  # rows of a continued run that were sent before
        self._fed = 0
        self._first: float | None = None
        self._speed: float | None = None

    def frame(self, events: Iterable[Event]) -> tuple[Value, Value]:
        """(Output value, Attention value) after `events`."""
        run = self.run
        layer = run.layer  # the browser may change it at any moment: one message, one layer
        state, sentence = "running", ""
        start, packed = run.read, b""
        for event in events:
            if event.token is not None:
                run.ids.append(event.token)
                self._first = self._first or event.seconds
            self._speed = event.tokens_per_second
            start, packed = self._add_rows(event, layer, start, packed)
            if event.finish:
                state = "stopped" if event.finish == "stopped" else "done"
                sentence = finish_sentence(event.finish, self._title, self._context)
        return self._output(state, sentence), attention_value(run, layer, start, packed)

    def _add_rows(self, event: Event, layer: int, start: int, packed: bytes) -> tuple[int, bytes]:
        """The unbroken stretch of the layer's rows that ends with this event.

        The layer may change between two events; the browser asks for what it then misses.
        """
        run = self.run
        first = self._fed
        self._fed += event.fed
        run.read = max(run.read, self._fed)
        rows = event.attention.get(layer)
        if rows is None:
            return (self._fed, b"") if event.fed else (start, packed)
        begin = max(first, self._known)
        return (start if packed else begin), packed + pack_rows(rows[:, begin - first :])

    def failed(self, sentence: str) -> Value:
        """The Output value when the run broke: the text so far stays."""
        return self._output("error", sentence)

    def _output(self, state: str, sentence: str) -> Value:
        run, start = self.run, self._sent
        self._sent = len(run.ids)
        return {
            "run": run.id,
            "start": start,
            "tokens": wire_tokens(self._tokenizer, run.ids[start:]),
            "n": len(run.ids),
            "prompt": run.prompt,
            "state": state,
            "note": sentence,
            "stats": {
                "new": len(run.ids) - self._before,
                "limit": self._limit,
                "speed": self._speed,
                "first": self._first,
                "seed": str(run.options.seed),  # a number of JavaScript's ends at 2^53
            },
        }


def attention_value(run: Run, layer: int, start: int, packed: bytes) -> Value:
    """Rows of one layer, and how many rows there are in all."""
    return {
        "run": run.id,
        "layers": run.layers,
        "heads": run.heads,
        "layer": layer,
        "start": start,
        "n": run.read,
        "rows": encode_rows(packed),
        "example": run.example,
    }


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
