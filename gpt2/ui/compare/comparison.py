"""A comparison from what was asked for to the frames of the page, or to the records of a script."""

from __future__ import annotations

import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack

from gpt2.engine import Engine, Event
from gpt2.scoring import Score
from gpt2.serving.run_statistics import Entry
from gpt2.ui.compare.columns import Column, described
from gpt2.ui.compare.records import CompareStep, SizeNews, size_news, summed_up
from gpt2.ui.compare.requested import needs
from gpt2.ui.compare.surprise import surprise_value
from gpt2.ui.compare.worker import (
    ColumnNews,
    CompareNews,
    CompareWorker,
    Failed,
    RoundEnd,
    StartColumn,
)
from gpt2.ui.session.admission_queue import pages_at
from gpt2.ui.session.frames import Value
from gpt2.ui.session.playground import Playground, new_log
from gpt2.ui.session.requests import Request
from gpt2.ui.session.run_log import RunLog
from gpt2.ui.session.runner import Started

_SIGN = 1.0  # seconds without news after which Gradio hears of it

Frame = tuple[Value, Value | None, Value | None]  # columns, surprise, figures


class Comparison:
    """Texts side by side, over the models and the line that the whole page shares."""

    def __init__(self, playground: Playground) -> None:
        self._runner = playground.runner
        self._logs = playground.logs

    def frames(
        self, requests: list[Request], stop: threading.Event, address: str = ""
    ) -> Iterator[Frame]:
        """What the page shows, again and again until the last column ends or `stop` is set.

        `address` is where the page is open. Raises OutOfMemory, before anything is loaded, for
        sizes that never fit together.
        """
        columns = [Column(request) for request in requests]
        name = uuid.uuid4().hex
        surprise: Value | None = surprise_value(requests[0].prompt, {})  # the last one's goes
        said = time.monotonic()
        latest: dict[str, Value] = {}  # all in every message: one may be overtaken by the next
        for batch in self._news(requests, stop, self._started, pages_at(address)):
            # By key, not in a list: Gradio's diff of a list mixes up deletions deeper inside it.
            updates = {
                str(at): update
                for at, column in enumerate(columns)
                if (update := column.update(_of(batch, at)))
            }
            latest |= updates
            scored = any(isinstance(n, ColumnNews) and isinstance(n.news, Score) for n in batch)
            # The page reads the texts from the logs; a step now and then lets Gradio end this.
            if updates or scored or surprise or time.monotonic() - said > _SIGN:
                said = time.monotonic()
                value = {"id": name, "columns": described(columns), "updates": {**latest}}
                yield value, surprise, _figures(columns) if scored else None
            surprise = None
        scores: dict[str, Score | Exception] = {
            column.request.size: column.score for column in columns if column.score
        }
        value = {"id": name, "columns": described(columns), "updates": latest}
        surprise = surprise_value(requests[0].prompt, scores) if scores else None
        yield value, surprise, _figures(columns)

    def records(self, requests: list[Request], visitor: str = "") -> Iterator[CompareStep]:
        """What a script gets: a record for every round.

        While nothing happens, a record without sizes comes again and again: that is how a script
        that has left is noticed. The last sums up, for agents, who are shown no other. `visitor` is
        whose texts these are, for `gpt2.ui.session.admission_queue`.
        """
        step, sizes = 0, dict[str, SizeNews]()
        ended: dict[str, SizeNews] = {request.size: {"written": ""} for request in requests}
        logs, read = dict[int, RunLog](), Counter[int]()

        def take(column: int, news: object) -> None:
            size = requests[column].size
            if found := size_news(news):
                sizes[size] = found
                ended[size] = summed_up(ended[size], found)

        for batch in self._news(requests, threading.Event(), _unwatched, visitor):
            for news in batch:
                if isinstance(news, RoundEnd):
                    for column, count in news.entries.items():
                        for entry in logs[column].entries[read[column] : count]:
                            take(column, entry)
                        read[column] = count
                    step += 1
                    yield {"step": step, "sizes": sizes}
                    sizes = {}
                elif isinstance(news.news, Started):
                    logs[news.column] = news.news.log
                else:
                    take(news.column, news.news)
            if not batch:
                yield {"step": step, "sizes": {}}
        yield {"step": step + 1, "sizes": ended}

    def _news(
        self,
        requests: list[Request],
        stop: threading.Event,
        start: StartColumn,
        visitor: str = "",
    ) -> Iterator[list[CompareNews]]:
        self._runner.residency.check(needs(requests))

        with ExitStack() as statistics:
            entries = [
                statistics.enter_context(self._runner.statistics.entry(r.size)) for r in requests
            ]

            def note(column: int, event: Event) -> None:
                self._runner.note(entries[column], event)

            def work(emit: Callable[[CompareNews], None]) -> None:
                CompareWorker(self._runner, requests, start, stop, emit, note, visitor).run()

            for batch in self._runner.background(work, stop):
                for news in batch:
                    if isinstance(news, ColumnNews):
                        self._note(entries[news.column], news)
                yield batch

    def _note(self, entry: Entry, news: ColumnNews) -> None:
        if isinstance(news.news, Failed):
            entry.ended = type(news.news.error).__name__
        elif not isinstance(news.news, Score):
            self._runner.note(entry, news.news)

    def _started(self, engine: Engine, request: Request) -> RunLog:
        log = new_log(engine, request)
        self._logs.add(log)
        return log


def _unwatched(engine: Engine, request: Request) -> RunLog:
    log = new_log(engine, request)
    log.watched = False
    return log


def _of(batch: list[CompareNews], column: int) -> list[ColumnNews]:
    return [news for news in batch if isinstance(news, ColumnNews) and news.column == column]


def _figures(columns: list[Column]) -> Value:
    for column in columns:
        column.measure()
    return {"rows": [dict(column.facts) for column in columns]}
