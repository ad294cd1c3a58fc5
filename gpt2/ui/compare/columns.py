"""From what happens in the columns to what one update of the Compare tab says."""

from __future__ import annotations

import math
from itertools import pairwise
from statistics import fmean, stdev
from typing import Any

from gpt2.checkpoint import Cancelled, Progress
from gpt2.scoring import Score
from gpt2.ui.compare.facts import facts_of, file_bytes
from gpt2.ui.compare.worker import ColumnNews
from gpt2.ui.session.frames import Value, loading_sentence, note
from gpt2.ui.session.playground import waiting_sentence
from gpt2.ui.session.requests import Request
from gpt2.ui.session.run_log import RunLog
from gpt2.ui.session.runner import Started, Waiting, to_user_message
from gpt2.ui.session.sizes import source_of

_FEWEST = 3  # gaps: of fewer, how much they differ says nothing
# Student's t for a 95 % interval, by the number of gaps: few of them may all be quick by chance.
_T = {3: 4.30, 4: 3.18, 5: 2.78, 6: 2.57, 7: 2.45, 8: 2.36, 9: 2.31, 10: 2.26}
_T_OF_MANY = ((15, 2.15), (20, 2.10), (30, 2.05), (60, 2.01))


class Column:
    """One size: where its text is, and what was measured of it."""

    def __init__(self, request: Request) -> None:
        self.request = request
        self.title = source_of(request.size).title
        self.facts = facts_of(request)
        self.score: Score | None = None
        self._log: RunLog | None = None

    def update(self, news: list[ColumnNews]) -> Value:
        """{output}, only where something is new: which log to read, or why there is none."""
        output: Value | None = None
        for item in (entry.news for entry in news):
            if isinstance(item, Started):
                self._log = item.log
                self.facts["file"] = file_bytes(self.request.size)  # it may just have come
                output = item.log.begun
            elif isinstance(item, Score):
                self.score = item
                self.facts["bits_per_byte"] = item.bits_per_byte
            elif isinstance(item, Waiting) and self._log:
                self._log.remark(waiting_sentence(item.ahead, item.seconds))
            elif isinstance(item, Progress | Waiting):
                output = self._before(item)
            elif self._log is None:
                output = self._failed(item.error)
        return {} if output is None else {"output": output}

    def measure(self) -> None:
        """What its log says of its speed."""
        if self._log is None:
            return
        _, status = self._log.snapshot()
        times = [self._log.seconds[place] for place in sorted(self._log.seconds)]
        gaps = [after - before for before, after in pairwise(times)]
        self.facts["speed"] = status["stats"]["speed"]
        self.facts["speed_error"] = speed_error(gaps)
        self.facts["first"] = status["stats"]["first"]

    def _before(self, item: Progress | Waiting) -> Value:
        if isinstance(item, Progress):
            return note("loading", loading_sentence(self.title, item))
        return note("waiting", waiting_sentence(item.ahead, item.seconds))

    def _failed(self, error: Exception) -> Value:
        if isinstance(error, Cancelled):
            return note("stopped", "Stopped before the first token.")
        return note("error", to_user_message(error))


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


def described(columns: list[Column]) -> list[dict[str, Any]]:
    """What the page needs to lay the columns out; in every message, since any may be lost."""
    return [
        {"size": c.request.size, "title": c.title, "memory": c.facts["memory"]} for c in columns
    ]
