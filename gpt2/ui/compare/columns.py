"""From what happens in the columns to what one update of the Compare tab says."""

from __future__ import annotations

import logging
import math
from statistics import fmean, stdev
from typing import Any

from gpt2.checkpoint import Cancelled, Progress
from gpt2.engine import Event
from gpt2.scoring import Score
from gpt2.ui.compare.facts import facts_of, file_bytes
from gpt2.ui.compare.work import ColumnNews, Failed
from gpt2.ui.frames import Frames, Value, loading_sentence, note
from gpt2.ui.playground import SORRY, TOLD, waiting_sentence
from gpt2.ui.requests import Request
from gpt2.ui.runner import Started, Waiting
from gpt2.ui.sizes import source_of

_TOO_LONG = "The time limit for one comparison is reached. The text is kept."
_FEWEST = 3  # gaps: of fewer, how much they differ says nothing
# Student's t for a 95 % interval, by the number of gaps: few of them may all be quick by chance.
_T = {3: 4.30, 4: 3.18, 5: 2.78, 6: 2.57, 7: 2.45, 8: 2.36, 9: 2.31, 10: 2.26}
_T_OF_MANY = ((15, 2.15), (20, 2.10), (30, 2.05), (60, 2.01))
_log = logging.getLogger(__name__)


class Column:
    """One size: its text so far, and what was measured of it."""

    def __init__(self, request: Request) -> None:
        self.request = request
        self.title = source_of(request.size).title
        self.facts = facts_of(request)
        self.score: Score | None = None
        self._frames: Frames | None = None
        self._gaps: list[float] = []  # seconds between two tokens
        self._last: float | None = None

    @property
    def spare(self) -> float:
        """Seconds that its browser wants between two messages, while this one writes."""
        return self._frames.spare if self._frames else 0

    def update(self, news: list[ColumnNews]) -> Value:
        """{output, attention}, each only where something is new."""
        value: Value = {}
        events = [entry.news for entry in news if isinstance(entry.news, Event)]
        for item in (entry.news for entry in news):
            if isinstance(item, Started):
                self._frames = self._begin(item)
            elif isinstance(item, Score):
                self.score = item
                self.facts["bits_per_byte"] = item.bits_per_byte
            elif isinstance(item, Progress | Waiting):
                value["output"] = self._before(item)
        if events and self._frames:
            value["output"], value["attention"] = self._frames.frame(events)
            if events[-1].finish == "time":
                value["output"]["note"] = _TOO_LONG
            self._measure(value["output"], events)
        for item in (entry.news for entry in news):
            if isinstance(item, Failed):
                value["output"] = self._failed(item.error, value.get("output"))
        return value

    def _begin(self, started: Started) -> Frames:
        self.facts["file"] = file_bytes(self.request.size)  # it may just have been downloaded
        engine, limit = started.engine, self.request.new_tokens
        context = engine.config.max_seq_len
        return Frames(started.run, engine.tokenizer, self.title, context, limit)

    def _measure(self, output: Value, events: list[Event]) -> None:
        for event in events:
            if event.token is not None:
                if self._last is not None:
                    self._gaps.append(event.seconds - self._last)
                self._last = event.seconds
        self.facts["speed"] = output["stats"]["speed"]
        self.facts["speed_error"] = speed_error(self._gaps)
        self.facts["first"] = output["stats"]["first"]

    def _before(self, item: Progress | Waiting) -> Value:
        if isinstance(item, Progress):
            return note("loading", loading_sentence(self.title, item))
        return note("waiting", waiting_sentence(item.ahead, item.seconds))

    def _failed(self, error: Exception, output: Value | None) -> Value:
        """Laid over the last output: the text so far stays."""
        if isinstance(error, Cancelled):
            end = note("stopped", "Stopped before the first token.")
        else:
            end = note("error", told(error))
        if self._frames:
            nothing_new = self._frames.failed("")
            output = output or nothing_new
        return end | (output or {}) | {"state": end["state"], "note": end["note"]}


def speed_error(gaps: list[float]) -> float | None:
    """Half the 95 % confidence interval of the speed in tokens/s; None from too few tokens."""
    if len(gaps) < _FEWEST or (mean := fmean(gaps)) <= 0:
        return None
    return (
        _t(len(gaps)) * stdev(gaps) / math.sqrt(len(gaps)) / mean**2
    )  # of 1 / mean, to first order


def _t(count: int) -> float:
    """Never too narrow: a factor holds up to the next number of gaps in the table."""
    found = _T.get(count)
    return found or next((t for most, t in reversed(_T_OF_MANY) if count >= most), 2.26)


def told(error: Exception) -> str:
    """The sentence for visitors; what is no sentence for them goes to the log."""
    if isinstance(error, TOLD):
        return str(error)
    _log.error("a column failed", exc_info=error)
    return SORRY


def described(columns: list[Column]) -> list[dict[str, Any]]:
    """What the page needs to lay the columns out; in every message, since any may be lost."""
    return [
        {"size": c.request.size, "title": c.title, "memory": c.facts["memory"]} for c in columns
    ]
