"""What happened in a text, in order: one writer, any number of readers, from any place.

    Scheduler ──Event──> RunLog.put             the thread of the run (gpt2.ui.session.runner)
                           │  ids, text, seconds, guesses, attention rows, status
                           │
    GET /runs/{id}?from=i&view=...              log_route.py: binary frames (wire.py),
          │                │                    held open while the run writes, or asked again
    log_reader.js    Playground.texts, Comparison.records: the calls for scripts
          │
    the store (runs.js): text, map, all heads, Compare's columns; after a reload, in a second
    tab, for the worked example, from an exported file: the same read

Gradio's messages say which log to read, and nothing of what is in it.
"""

from __future__ import annotations

import json
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

from gpt2.engine import Engine, Event, Finish, Off
from gpt2.inference.executor import Floats, Head
from gpt2.interpret.atlas import bins_for
from gpt2.interpret.row_codec import Levels
from gpt2.sampling import SamplingOptions
from gpt2.tokenizer import Tokenizer
from gpt2.trace import Stretch, Trace
from gpt2.ui.session.attention_budget import SERVER_BUDGET
from gpt2.ui.session.attention_store import Capture
from gpt2.ui.session.frames import Value, finish_sentence, sampling_value
from gpt2.ui.session.sizes import config_of, source_of, tokenizer_of
from gpt2.ui.session.wire import TokenRecord, pack_tokens, wire_tokens

LOG_BYTES = 64_000_000  # of all logs, their attention rows apart (gpt2.ui.session.attention_budget)
LOG_SECONDS = 12 * 3600.0  # since it was last read or written
_TOKEN_BYTES = 400  # of a log in Python: its id, its text, its numbers
_OWN_BYTES = 4_000
_MOST_PENDING = 16  # passes whose rows nobody has asked for yet: their floats take room
_LINGER = 5.0  # seconds that rows are still kept for a reader who has gone, or not yet come
UNREAD = 30.0  # seconds; whoever means to read opens the log at once
LEFT = 5.0  # seconds for a page that was left, to be loaded again

State = Literal["running", "done", "stopped", "error"]
# What stands in for a head that is off: nothing, or its mean output over the prompt.
Instead = Literal["zero", "mean"]


@dataclass(frozen=True, slots=True)
class Branch:
    """Where a text was rewritten: at place `at` of the run `of`, where `token` was put, if any."""

    of: str
    at: int
    token: int | None


@dataclass(frozen=True, slots=True)
class Entry:
    """What one forward pass brought, without its rows (`gpt2.engine.Event`)."""

    token: int | None
    text: str
    seconds: float
    tokens_per_second: float | None
    finish: Finish | None


@dataclass(eq=False)
class RunLog:
    """One text. `ids` and `entries` only grow; `read` tokens have an attention row.

    Rows are kept in `capture`, within what the server has for all, and can be made anew from the
    ids. `too_late` is said where the time is up, and `version` grows with all that happens.
    """

    size: str
    options: SamplingOptions
    ids: list[int]
    prompt: int
    layers: int
    heads: int
    read: int = 0
    off: tuple[Head, ...] = ()  # heads that are switched off
    instead: Instead = "zero"
    means: dict[Head, Floats] | None = None  # of those heads, once they are known
    live_until: float = 0.0  # until then somebody follows the newest token layer by layer
    stream: tuple[int, Floats] | None = None  # the place of that token, and what led to it
    branch: Branch | None = None  # of which text this one is another end
    most: int = 0  # tokens it was to reach at most
    example: bool = False
    row: int | None = None  # the one to begin with, of an example
    layer: int = -1  # the one to begin with; by itself in the middle
    precision: str = ""  # it was written with, if that is known
    watched: bool = True  # whether its attention is kept as it is written
    too_late: str = ""
    tokenizer: Tokenizer | None = None  # by itself, those of its size
    context: int = 0
    id: str = field(default_factory=lambda: secrets.token_hex(16))
    state: State = "done"
    note: str = ""
    stretches: list[Stretch] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)
    guesses: dict[int, int] = field(default_factory=dict)  # place -> what the draft guessed there
    seconds: dict[int, float] = field(default_factory=dict)  # place -> since its stretch began
    speed_up: float | None = None
    version: int = 0
    used: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        self.capture = Capture(self.layers, self.heads)
        self.tokenizer = self.tokenizer or tokenizer_of(self.size)
        self.context = self.context or config_of(self.size).max_seq_len
        self.layer = self.layers // 2 if self.layer < 0 else self.layer
        self._news = threading.Condition()
        self._settling = threading.Lock()
        self._writer: object = None
        self._pending: list[Event] = []
        self._settled = self._fed = self._since = 0
        self._readers = 0
        self._watchers = 0
        self._left = time.monotonic()  # the last reader; or nobody has come yet
        self._page_left = False
        self._unwatched = self._left
        self._listeners: set[Callable[[], None]] = set()
        self._packed: list[TokenRecord] = []

    def off_in(
        self,
        engine: Engine,
        heads: tuple[Head, ...] | None = None,
        instead: Instead | None = None,
    ) -> Off:
        """Its heads that are off, or others, as the engine takes them: with what stands in."""
        own = heads is None
        off = self.off if heads is None else heads
        if (instead or self.instead) == "zero" or not off:
            return off
        if own and self.means is not None:
            return self.means
        means = engine.head_means(self.ids[: self.prompt], off)
        if own:
            self.means = means
        return means

    # --- the writer -----------------------------------------------------------------------------

    def begin(
        self,
        writer: object,
        options: SamplingOptions,
        limit: int,
        draft: str = "",
        precision: str = "",
    ) -> list[int]:
        """From now on `writer` writes, and nobody else; the ids it goes on from."""
        self.settle()
        with self._news:
            self._writer = writer
            self.options, self.most = options, len(self.ids) + limit
            self.state, self.note, self.speed_up = "running", "", None
            self.precision = precision
            self.stretches.append(Stretch(len(self.ids), options, limit, draft))
            self._pending, self._settled, self._fed = [], 0, 0  # it reads all ids again
            self._since = len(self.entries)
            self._left = self._unwatched = time.monotonic()
            self._tell()
            return list(self.ids)

    def put(self, writer: object, event: Event) -> bool:
        """Append what a pass brought; False once somebody else writes."""
        with self._news:
            if writer is not self._writer:
                return False
            if event.token is not None:
                position = len(self.ids)
                if event.guess is not None:
                    self.guesses[position] = event.guess
                self.seconds[position] = event.seconds
                self.ids.append(event.token)
            self.speed_up = event.speed_up or self.speed_up
            self.entries.append(
                Entry(event.token, event.text, event.seconds, event.tokens_per_second, event.finish)
            )
            if event.fed:
                self._pending.append(event)
                self._fed += event.fed
                self.read = max(self.read, self._fed)
            self.note = ""
            if event.finish:
                self._end(event.finish)
            full = event.fed > 1 or len(self._pending) >= _MOST_PENDING
            self._tell()
        if full:
            self.settle()
        return True

    def remark(self, sentence: str) -> None:
        """Something to say of it until the next pass."""
        with self._news:
            if self.running and not self.entries[self._since :]:
                self.note = sentence
                self._tell()

    def fail(self, writer: object, sentence: str) -> None:
        """It broke, or the server ends: the text so far stays."""
        with self._news:
            if writer is self._writer:
                self._writer = None
                self.state, self.note = "error", sentence
                self._tell()

    def wanted(self) -> range:
        """The layers to watch: all, or none when nobody looks."""
        looked_at = self._watchers or time.monotonic() - self._unwatched < _LINGER
        return range(self.layers if self.watched and looked_at else 0)

    @property
    def unread(self) -> bool:
        """Whether nobody has read it for so long that nobody will."""
        patience = LEFT if self._page_left else UNREAD
        return not self._readers and time.monotonic() - self._left > patience

    def leave(self) -> None:
        """Its page is closed or loaded again: who does not come back soon does not."""
        with self._news:
            self._page_left = True

    def writes(self, writer: object) -> bool:
        """Whether it is this one who writes."""
        return self.running and writer is self._writer

    @property
    def writer(self) -> object:
        """Who writes, if anybody does."""
        return self._writer

    def settle(self) -> None:
        """Put the rows that have come so far where readers find them.

        Several passes at once: each step on an array lets another thread have its turn with Python.
        """
        with self._settling:
            with self._news:
                events, self._pending = self._pending, []
                first = self._settled
                self._settled += sum(event.fed for event in events)
            if events:
                self.capture.add(first, events)

    def _end(self, finish: Finish) -> None:
        self._writer = None
        self.state = "stopped" if finish in ("stopped", "time") else "done"
        self.note = finish_sentence(finish, source_of(self.size).title, self.context)
        if finish == "time" and self.too_late:
            self.note = self.too_late

    def _tell(self) -> None:
        self.version += 1
        self.used = time.monotonic()
        self._news.notify_all()
        for listener in tuple(self._listeners):
            listener()

    # --- readers --------------------------------------------------------------------------------

    @contextmanager
    def reading(
        self, listener: Callable[[], None] = lambda: None, rows: bool = False
    ) -> Iterator[None]:
        """Somebody reads, and looks at its rows if `rows`; `listener` is called for all news.

        From the thread that writes, and so it must return at once.
        """
        with self._news:
            self._listeners.add(listener)
            self._readers += 1
            self._page_left = False
            self._watchers += rows
        try:
            yield
        finally:
            with self._news:
                self._listeners.discard(listener)
                self._readers -= 1
                self._watchers -= rows
                self.used = self._left = time.monotonic()
                if rows:
                    self._unwatched = self._left

    def wait(self, version: int, seconds: float) -> int:
        """Until it is newer than `version`, at most so long; its version."""
        with self._news:
            self._news.wait_for(lambda: self.version != version, seconds)
            return self.version

    @property
    def running(self) -> bool:
        """Whether somebody writes it."""
        return self.state == "running"

    def rows(self, start: int, stop: int) -> list[Levels] | None:
        """All heads' rows `start` to `stop`; None when any must be made anew."""
        self.settle()
        self.capture.touch()
        return self.capture.rows(start, stop)

    def tokens(self, start: int, stop: int) -> bytes:
        """The tokens from `start` to `stop` as they travel: bytes, id and numbers of each."""
        assert self.tokenizer
        with self._settling:
            while len(self._packed) < stop:
                position = len(self._packed)
                guess = self.guesses.get(position)
                self._packed.append(
                    TokenRecord.of(
                        self.tokenizer, self.ids[position], self.seconds.get(position, 0.0), guess
                    )
                )
        return pack_tokens(self._packed[start:stop])

    def snapshot(self) -> tuple[int, Value]:
        """Its version, and all there is to say of the text besides its tokens and rows."""
        assert self.tokenizer
        with self._news:
            stretch = self.stretches[-1] if self.stretches else None
            start = stretch.start if stretch else self.prompt
            last = self.entries[-1] if len(self.entries) > self._since else None
            # A branch counts from its prompt, as the text did that it was made of.
            kept = start - self.prompt if self.branch and len(self.stretches) == 1 else 0
            return self.version, {
                "n": len(self.ids),
                "read": self.read,
                "size": self.size,
                "prompt": self.prompt,
                "full": len(self.ids) >= self.context,
                "state": self.state,
                "note": self.note,
                "stretch": len(self.stretches),
                "stats": {
                    "new": len(self.ids) - start + kept,
                    "limit": stretch.limit + kept if stretch else None,
                    "speed": last.tokens_per_second if last else None,
                    "first": self.seconds.get(start) if stretch else None,
                    "seed": str(self.options.seed),  # a number of JavaScript's ends at 2^53
                },
                "sampling": sampling_value(self.options),
                "off": [list(head) for head in self.off],
                "instead": self.instead,
                "branch": self._branch_value(),
                "draft": self._draft_value(),
            }

    def shape(self) -> Value:
        """What the model looks like, and whether the text is the worked example."""
        return {
            "layers": self.layers,
            "heads": self.heads,
            "bins": bins_for(self.layers * self.heads),
            "example": self.example,
            "row": self.row,
        }

    def trace(self, weights: str, precision: str) -> Trace:
        """All that is needed to write it again, by `weights`; the rows that are at hand."""
        with self._news:
            ids, read = tuple(self.ids), self.read
            # Of one that a page has brought back nobody knows what was written at once.
            whole = Stretch(self.prompt, self.options, len(ids) - self.prompt)
            stretches = tuple(self.stretches) or (whole,)
            seconds = tuple(self.seconds.get(position, 0.0) for position in range(len(ids)))
        return Trace(
            self.size,
            weights,
            self.precision or precision,
            self.layers,
            self.heads,
            self.prompt,
            self.off,
            self.instead,
            stretches,
            ids,
            seconds,
            tuple(self.rows(0, read) or ()),
        )

    @property
    def pointer(self) -> Value:
        """What Gradio tells the page: which log to read."""
        return {"run": self.id, "example": self.example}

    @property
    def begun(self) -> Value:
        """The same of one that grows from now on, on this page."""
        return self.pointer | {"stretch": len(self.stretches)}

    @property
    def size_bytes(self) -> int:
        """About what it takes, its attention rows apart."""
        return _OWN_BYTES + _TOKEN_BYTES * len(self.ids)

    def _draft_value(self) -> Value | None:
        """The draft's name, its right and wrong guesses, and the speed-up of the newest stretch."""
        title = next((each.draft for each in reversed(self.stretches) if each.draft), "")
        if not title:
            return None
        right = sum(self.ids[position] == guess for position, guess in self.guesses.items())
        return {
            "title": title,
            "right": right,
            "wrong": len(self.guesses) - right,
            "speed_up": self.speed_up,
        }

    def _branch_value(self) -> Value | None:
        if self.branch is None:
            return None
        assert self.tokenizer
        of, at, token = self.branch.of, self.branch.at, self.branch.token
        put = None if token is None else wire_tokens(self.tokenizer, [token])[0]
        return {"of": of, "at": at, "token": put}


class RunLogs:
    """Logs by their unguessable id: who holds it may read. Never logged, and nowhere listed.

    The least recently used are dropped where all together take more than `most_bytes`, and any that
    nobody has used for `most_seconds`; one that is being written stays.
    """

    def __init__(
        self,
        most_bytes: int = LOG_BYTES,
        most_seconds: float = LOG_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._most_bytes, self._most_seconds = most_bytes, most_seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._logs: OrderedDict[str, RunLog] = OrderedDict()

    def add(self, log: RunLog) -> None:
        """Keep it, as the newest."""
        with self._lock:
            log.used = self._clock()
            self._logs[log.id] = log
            self._logs.move_to_end(log.id)
            self._drop(log)

    def get(self, run_id: object) -> RunLog | None:
        """The log of this id; None for one that is not there, or not any more."""
        with self._lock:
            log = self._logs.get(run_id) if isinstance(run_id, str) else None
            if log is not None and self._is_old(log):
                self._forget(log)
                return None
            if log is not None:
                log.used = self._clock()
                self._logs.move_to_end(log.id)
            return log

    def _drop(self, newest: RunLog) -> None:
        total = sum(log.size_bytes for log in self._logs.values())
        for log in list(self._logs.values()):
            if log is newest or log.running:
                continue
            if total > self._most_bytes or self._is_old(log):
                total -= log.size_bytes
                self._forget(log)

    def _is_old(self, log: RunLog) -> bool:
        return not log.running and self._clock() - log.used > self._most_seconds

    def _forget(self, log: RunLog) -> None:
        del self._logs[log.id]
        SERVER_BUDGET.forget(log.capture)


def packed_json(value: Any) -> bytes:
    """JSON as a frame carries it."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
