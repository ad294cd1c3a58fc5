"""What the browser may ask about a run it knows: rows it misses, another map, roles."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from gpt2.engine import Engine
from gpt2.levels import Levels
from gpt2.sampling import GREEDY
from gpt2.ui.atlas import bins_for, pack_nibbles, pooled_map
from gpt2.ui.default_size import default_size
from gpt2.ui.frames import Value, attention_value
from gpt2.ui.guesses import wire_guesses
from gpt2.ui.inspect_requests import InspectRequests
from gpt2.ui.maps import LAYER_MODES, MapView, clamped, layer_rows, map_rows
from gpt2.ui.playground import SORRY, TOLD, Playground
from gpt2.ui.role_requests import RoleRequests
from gpt2.ui.runs import Run
from gpt2.ui.wire import encode_bytes, pack_rows, wire_tokens

# What the panel shows before the first run. In the last layer the second " the" reads mostly from
# " cat", the word that followed the first one.
EXAMPLE_SIZE = "tiny"
EXAMPLE_WORD = b" the"
EXAMPLE_TEXT = '"Good morning," said the cat. "Good morning," said the dog.'
# A long text's rows come in several answers; the browser asks until it has all.
_MOST_BYTES = 4_000_000
_LONG = 256  # tokens: all maps of a shorter text are quickly made
_MOST_PULLS = 8  # at once; each holds one of Gradio's threads
_MOST_SPARE = 250  # milliseconds a browser may have between two messages
BUSY = "The server is busy; asking again."
_UNLOADED = "This model is no longer in memory. Continue or generate to look further."
_FORGOTTEN = "This text is no longer on the server. Generate it again to look further."

_log = logging.getLogger(__name__)


class AttentionRequests:
    """Answers come from two threads: requests bypass Gradio's queue and must not pile up.

    One makes answers of what is kept, the other runs the model for what is not: nobody waits for
    another text's forward pass.
    """

    def __init__(self, playground: Playground) -> None:
        self._playground = playground
        self._quick, self._slow = ThreadPoolExecutor(1), ThreadPoolExecutor(1)
        self._room = threading.BoundedSemaphore(_MOST_PULLS)
        self._lock = threading.Lock()
        self._example: Run | None = None
        self._row = 0  # of it, that shows something
        self._roles = RoleRequests(self._rebuild)
        self._inspect = InspectRequests(playground.runner)

    def warm_up(self) -> None:
        """Load in the background what the first visitor sees and what he begins with."""
        self._slow.submit(self.example)
        self._slow.submit(self._load, default_size())

    def server_functions(self) -> list[Callable[[Any], Value]]:
        """What the browser may call; Gradio marks them, and a bound method takes no mark."""

        def pull(request: Any) -> Value:
            return self.pull(request)

        def watch(request: Any) -> Value:
            return self.watch(request)

        def roles(request: Any) -> Value:
            return self.roles(request)

        def inspect(request: Any) -> Value:
            return self.inspect(request)

        return [pull, watch, roles, inspect]

    def pull(self, request: Any) -> Value:
        """Rows of a map from `start` on, tokens from `tokens_from` on, the atlas; or {error}."""
        return self._answer(self._pull, request)

    def roles(self, request: Any) -> Value:
        """Every head's roles, on the text or on the probe; or {error}."""
        return self._answer(self._measure, request)

    def inspect(self, request: Any) -> Value:
        """What the inspector shows of one token, or of the text; or {error}."""
        return self._answer(self._inspected, request)

    def watch(self, request: Any) -> Value:
        """From now on push this map's rows for this run: `on`, with all heads small: `atlas`.

        Not of the example, which is everybody's and of which nothing is pushed.
        """
        run = self._run(request)
        if run is not None and not run.example:
            run.look_at(MapView.of(request.get("view"), run.layers, run.heads))
            run.watched = request.get("on") is not False
            run.atlas = request.get("atlas") is not False
            run.spare = clamped(request, "spare", _MOST_SPARE) / 1000
        return {}

    def example(self) -> Value:
        """The worked example: real attention of the smallest built-in model."""
        with self._lock:
            if self._example is None:
                with self._playground.runner.engine(EXAMPLE_SIZE) as engine:
                    self._example = _example_run(engine)
                    self._row = _telling_row(engine, self._example.ids)
        # Added anew for every visitor, so that it is never the least recently used.
        self._playground.runs.add(self._example)
        return attention_value(self._example, self._example.view, 0, b"") | {"row": self._row}

    def _load(self, size: str) -> None:
        with suppress(*TOLD), self._playground.runner.engine(size):
            pass

    def _answer(self, work: Callable[[Run, Any], Value], request: Any) -> Value:
        if not self._room.acquire(blocking=False):
            return {"error": BUSY}  # the browser asks again after a while
        try:
            run = self._run(request)
            return {"error": _FORGOTTEN} if run is None else work(run, request)
        except TOLD as error:
            return {"error": str(error)}
        except Exception:
            _log.exception("a pull failed")
            return {"error": SORRY}
        finally:
            self._room.release()

    def _pull(self, run: Run, request: Any) -> Value:
        view = MapView.of(request.get("view"), run.layers, run.heads)
        read = run.read
        start = clamped(request, "start", read)
        tokens_from = clamped(request, "tokens_from", len(run.ids))
        run.capture.touch()
        rows = self._first_rows(run, view, start, read) or self._rows(run, view, start, read)
        answer = attention_value(run, view, start, pack_rows(rows))
        # The run may have grown meanwhile: what follows is asked for again.
        answer |= {"n": read, **self._tokens(run, tokens_from)}
        if request.get("atlas") is True and read:
            answer |= {"maps": self._maps(run, read), "maps_n": read}
        return answer

    def _first_rows(self, run: Run, view: MapView, start: int, read: int) -> list[Levels] | None:
        """Of a long text whose maps are not at hand, the one to be seen, where that is quicker.

        All others are made while it is looked at.
        """
        alone = view.mode in LAYER_MODES and read >= _LONG
        if not alone or run.capture.rows(0, read) is not None:
            return None
        with self._engine(run) as engine:
            weights = self._slow.submit(
                engine.attention_rows, run.ids[:read], view.layer, run.off_in(engine)
            ).result()
        self._slow.submit(self._rebuild_meanwhile, run, read)
        return layer_rows(weights, view, start, _last_row(start, read))

    def _tokens(self, run: Run, start: int) -> Value:
        tokens: list[Any] = []
        guesses: list[Any] = []
        if start < len(run.ids):
            with self._engine(run) as engine:
                tokens = wire_tokens(engine.tokenizer, run.ids[start:])
                guesses = wire_guesses(engine.tokenizer, run, start)
        return {"tokens": tokens, "guesses": guesses, "tokens_start": start}

    def _rows(self, run: Run, view: MapView, start: int, read: int) -> list[Levels]:
        """As many rows from `start` on as one answer may carry: at least one."""
        stop = _last_row(start, read)
        rows = self._quick.submit(map_rows, run.capture, view, start, stop).result()
        if rows is None:
            self._rebuild(run, read)
            rows = self._quick.submit(map_rows, run.capture, view, start, stop).result()
        return rows or []

    def _maps(self, run: Run, read: int) -> str:
        rows = run.capture.rows(0, read)
        if rows is None:
            self._rebuild(run, read)
            rows = run.capture.rows(0, read) or []
        bins = bins_for(run.layers * run.heads)
        return encode_bytes(pack_nibbles(self._quick.submit(pooled_map, rows, bins).result()[None]))

    def _measure(self, run: Run, request: Any) -> Value:
        if request.get("probe") is True:
            with self._engine(run) as engine:
                return self._slow.submit(self._roles.on_probe, engine, run).result()
        return self._quick.submit(self._roles.on_text, run).result()

    def _inspected(self, run: Run, request: Any) -> Value:
        with self._engine(run) as engine:
            return self._slow.submit(self._inspect.answer, engine, run, request).result()

    def _rebuild(self, run: Run, read: int) -> None:
        """All heads' rows by one forward pass, unless somebody was quicker."""
        with self._engine(run) as engine:
            self._slow.submit(_rebuilt, run, engine, read).result()

    def _rebuild_meanwhile(self, run: Run, read: int) -> None:
        with suppress(ValueError), self._engine(run) as engine:  # the model may have gone
            _rebuilt(run, engine, read)

    def _engine(self, run: Run) -> Any:
        if not self._playground.runner.is_loaded(run.size):
            raise ValueError(_UNLOADED)
        return self._playground.runner.engine(run.size)

    def _run(self, request: Any) -> Run | None:
        return self._playground.runs.get(request.get("run") if isinstance(request, dict) else None)


def _rebuilt(run: Run, engine: Engine, read: int) -> None:
    capture = run.capture
    if capture.rows(0, read) is None or capture.norms(read, 0, 0) is None:
        capture.rebuild(engine, run.ids[:read], run.off_in(engine))


def _example_run(engine: Engine) -> Run:
    ids = engine.encode(EXAMPLE_TEXT)
    config = engine.config
    return Run(
        EXAMPLE_SIZE,
        GREEDY,
        ids,
        len(ids),
        config.num_blocks,
        config.num_heads,
        layer=config.num_blocks - 1,
        read=len(ids),
        example=True,
    )


def _telling_row(engine: Engine, ids: list[int]) -> int:
    """The second " the"."""
    words = [engine.tokenizer.token_bytes(i) for i in ids]
    return max(i for i, word in enumerate(words) if word == EXAMPLE_WORD)


def _last_row(start: int, read: int) -> int:
    """Where the rows from `start` on that one answer may carry end: at least one row."""
    size, stop = 0, start
    while stop < read and (stop == start or size + stop + 1 <= _MOST_BYTES):
        size += stop + 1
        stop += 1
    return stop
