"""What the browser may ask about a run it knows: roles, and what the inspector shows."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import Any

from gpt2.engine import Engine
from gpt2.interpret.row_codec import Levels
from gpt2.sampling import GREEDY
from gpt2.ui.session.default_size import default_size
from gpt2.ui.session.frames import Value
from gpt2.ui.session.inspect_requests import InspectRequests
from gpt2.ui.session.maps import LAYER_MODES, MapView, layer_rows
from gpt2.ui.session.playground import Playground
from gpt2.ui.session.role_requests import RoleRequests
from gpt2.ui.session.run_log import RunLog
from gpt2.ui.session.runner import SORRY, USER_ERRORS
from gpt2.ui.session.sizes import weights_of

# What the panel shows before the first run. In the last layer the second " the" reads mostly from
# " cat", the word that followed the first one.
EXAMPLE_SIZE = "tiny"
EXAMPLE_WORD = b" the"
EXAMPLE_TEXT = '"Good morning," said the cat. "Good morning," said the dog.'
_LONG = 256  # tokens: all maps of a shorter text are quickly made
_MOST_ASKED = 8  # at once; each holds one of Gradio's threads
BUSY = "The server is busy; asking again."
_UNLOADED = "This model is no longer in memory. Continue or generate to look further."
FORGOTTEN = "This text is no longer on the server. Generate it again to look further."

_log = logging.getLogger(__name__)


class AttentionRequests:
    """Answers come from two threads: requests bypass Gradio's queue and must not pile up.

    One makes answers of what is kept, the other runs the model for what is not: nobody waits for
    another text's forward pass.
    """

    def __init__(self, playground: Playground) -> None:
        self._playground = playground
        self._quick, self._slow = ThreadPoolExecutor(1), ThreadPoolExecutor(1)
        self._room = threading.BoundedSemaphore(_MOST_ASKED)
        self._lock = threading.Lock()
        self._example: RunLog | None = None
        self._roles = RoleRequests(self._rebuild)
        self._inspect = InspectRequests(playground.runner)

    def warm_up(self) -> None:
        """Load in the background what the first visitor sees and what he begins with."""
        self._slow.submit(self.example)
        self._slow.submit(self._load, default_size())

    def server_functions(self) -> list[Callable[[Any], Value]]:
        """What the browser may call; Gradio marks them, and a bound method takes no mark."""

        def roles(request: Any) -> Value:
            return self.roles(request)

        def inspect(request: Any) -> Value:
            return self.inspect(request)

        return [roles, inspect]

    def roles(self, request: Any) -> Value:
        """Every head's roles, on the text or on the probe; or {error}."""
        return self._answer(self._measure, request)

    def inspect(self, request: Any) -> Value:
        """What the inspector shows of one token, or of the text; or {error}."""
        return self._answer(self._inspected, request)

    def example(self) -> RunLog:
        """The worked example: real attention of the smallest built-in model."""
        with self._lock:
            if self._example is None:
                with self._playground.runner.engine(EXAMPLE_SIZE) as engine:
                    self._example = _example_log(engine)
        # Added anew for every visitor, so that it is never the least recently used.
        self._playground.logs.add(self._example)
        return self._example

    async def trace(self, log: RunLog) -> bytes:
        """The text as a file that can be computed again (`gpt2.trace`). Raises as `rows_again`."""
        if log.rows(0, log.read) is None:
            await self.rows_again(log, None, 0)
        return await asyncio.to_thread(self._trace, log)

    def _trace(self, log: RunLog) -> bytes:
        with self._engine(log) as engine:
            return log.trace(weights_of(log.size), engine.precision).packed()

    async def rows_again(
        self, log: RunLog, view: MapView | None, start: int
    ) -> list[Levels] | None:
        """Make missing rows anew; those of `view` from `start` on, where they alone were quicker.

        Raises ValueError where the model is no longer in memory.
        """
        again = partial(self._rows_again, log, view, start)
        return await asyncio.get_running_loop().run_in_executor(self._slow, again)

    def _rows_again(self, log: RunLog, view: MapView | None, start: int) -> list[Levels] | None:
        read = log.read
        alone = view is not None and view.mode in LAYER_MODES and start < read
        with self._engine(log) as engine:
            if not alone or log.running or read < _LONG or log.rows(0, read) is not None:
                _rebuilt(log, engine, read)
                return None
            assert view is not None
            weights = engine.attention_rows(log.ids[:read], view.layer, log.off_in(engine))
        # All others are made while it is looked at.
        self._slow.submit(self._rebuild_meanwhile, log, read)
        return layer_rows(weights, view, start, read)

    def _load(self, size: str) -> None:
        with suppress(*USER_ERRORS), self._playground.runner.engine(size):
            pass

    def _answer(self, work: Callable[[RunLog, Any], Value], request: Any) -> Value:
        if not self._room.acquire(blocking=False):
            return {"error": BUSY}  # the browser asks again after a while
        try:
            run = self._run(request)
            return {"error": FORGOTTEN} if run is None else work(run, request)
        except USER_ERRORS as error:
            return {"error": str(error)}
        except Exception:
            _log.exception("a request failed")
            return {"error": SORRY}
        finally:
            self._room.release()

    def _measure(self, run: RunLog, request: Any) -> Value:
        if request.get("probe") is True:
            with self._engine(run) as engine:
                return self._slow.submit(self._roles.on_probe, engine, run).result()
        return self._quick.submit(self._roles.on_text, run).result()

    def _inspected(self, run: RunLog, request: Any) -> Value:
        with self._engine(run) as engine:
            return self._slow.submit(self._inspect.answer, engine, run, request).result()

    def _rebuild(self, run: RunLog, read: int) -> None:
        """All heads' rows by one forward pass, unless somebody was quicker."""
        with self._engine(run) as engine:
            self._slow.submit(_rebuilt, run, engine, read).result()

    def _rebuild_meanwhile(self, run: RunLog, read: int) -> None:
        with suppress(ValueError), self._engine(run) as engine:  # the model may have gone
            _rebuilt(run, engine, read)

    def _engine(self, run: RunLog) -> Any:
        if not self._playground.runner.is_loaded(run.size):
            raise ValueError(_UNLOADED)
        return self._playground.runner.engine(run.size)

    def _run(self, request: Any) -> RunLog | None:
        return self._playground.logs.get(request.get("run") if isinstance(request, dict) else None)


def _rebuilt(log: RunLog, engine: Engine, read: int) -> None:
    """All heads' rows by one forward pass, unless somebody was quicker."""
    if log.rows(0, read) is None or log.capture.norms(read, 0, 0) is None:
        log.capture.rebuild(engine, log.ids[:read], log.off_in(engine))


def _example_log(engine: Engine) -> RunLog:
    ids, config = engine.encode(EXAMPLE_TEXT), engine.config
    return RunLog(
        EXAMPLE_SIZE,
        GREEDY,
        ids,
        len(ids),
        config.num_blocks,
        config.num_heads,
        read=len(ids),
        example=True,
        row=_telling_row(engine, ids),
        layer=config.num_blocks - 1,
        tokenizer=engine.tokenizer,
        context=config.max_seq_len,
    )


def _telling_row(engine: Engine, ids: list[int]) -> int:
    """The second " the"."""
    words = [engine.tokenizer.token_bytes(i) for i in ids]
    return max(i for i, word in enumerate(words) if word == EXAMPLE_WORD)
