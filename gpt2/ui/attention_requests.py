"""What the browser may ask about a run it knows: rows it misses, another layer, the example."""

from __future__ import annotations

import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from gpt2.engine import Engine
from gpt2.sampling import GREEDY
from gpt2.ui.frames import Value, attention_value
from gpt2.ui.playground import SORRY, TOLD, Playground
from gpt2.ui.runs import Run
from gpt2.ui.wire import pack_rows, wire_tokens

# What the panel shows before the first run. In the last layer the second " the" reads mostly from
# " cat", the word that followed the first one.
EXAMPLE_SIZE = "tiny"
EXAMPLE_TEXT = '"Good morning," said the cat. "Good morning," said the dog.'
# A long text's rows come in several answers; the browser asks until it has all.
_MOST_BYTES = 4_000_000
_MOST_PULLS = 8  # at once; each holds one of Gradio's threads
_BUSY = "The server is busy; asking again."
_UNLOADED = "This model is no longer in memory. Continue or generate to look further."
_FORGOTTEN = "This text is no longer on the server. Generate it again to look further."

_log = logging.getLogger(__name__)


class AttentionRequests:
    """Answers come from one thread: requests bypass Gradio's queue and must not pile up."""

    def __init__(self, playground: Playground) -> None:
        self._playground = playground
        self._thread = ThreadPoolExecutor(1)
        self._room = threading.BoundedSemaphore(_MOST_PULLS)
        self._newest: tuple[tuple[str, int, int], bytes] | None = None
        self._lock = threading.Lock()
        self._example: Run | None = None

    def warm_up(self) -> None:
        """Load the built-in model in the background, so that the first visitor finds it ready."""
        self._thread.submit(self.example)

    def pull(self, request: Any) -> Value:
        """Rows of a layer from `start` on and tokens from `tokens_from` on, or {error}."""
        if not self._room.acquire(blocking=False):
            return {"error": _BUSY}  # the browser asks again after a while
        try:
            return self._thread.submit(self._pull, request).result()
        except TOLD as error:
            return {"error": str(error)}
        except Exception:
            _log.exception("a pull failed")
            return {"error": SORRY}
        finally:
            self._room.release()

    def watch_layer(self, request: Any) -> Value:
        """From now on push this layer's rows for this run."""
        run = self._run(request)
        if run is not None:
            run.layer = _clamped(request, "layer", run.layers - 1)
        return {}

    def example(self) -> Value:
        """The worked example: real attention of the smallest built-in model."""
        with self._lock:
            if self._example is None:
                with self._playground.runner.engine(EXAMPLE_SIZE) as engine:
                    self._example = _example_run(engine)
        # Added anew for every visitor, so that it is never the least recently used.
        self._playground.runs.add(self._example)
        return attention_value(self._example, self._example.layer, 0, b"")

    def _pull(self, request: Any) -> Value:
        run = self._run(request)
        if run is None:
            return {"error": _FORGOTTEN}
        if not self._playground.runner.is_loaded(run.size):
            return {"error": _UNLOADED}
        layer = _clamped(request, "layer", run.layers - 1)
        read = run.read
        start = _clamped(request, "start", read)
        tokens_from = _clamped(request, "tokens_from", len(run.ids))
        with self._playground.runner.engine(run.size) as engine:
            tokens = wire_tokens(engine.tokenizer, run.ids[tokens_from:])
            packed = self._rows(engine, run, layer, read) if start < read else b""
        before = run.heads * start * (start + 1) // 2
        packed = packed[before : before + _whole_rows(start, read, run.heads)]
        answer = attention_value(run, layer, start, packed)
        # The run may have grown meanwhile: what follows is asked for again.
        return answer | {"n": read, "tokens": tokens, "tokens_start": tokens_from}

    def _rows(self, engine: Engine, run: Run, layer: int, read: int) -> bytes:
        """All rows of a layer; the newest stay, since long ones are asked for piece by piece."""
        wanted = (run.id, layer, read)
        if self._newest is None or self._newest[0] != wanted:
            packed = pack_rows(engine.attention_rows(run.ids[:read], layer))
            self._newest = (wanted, packed)
        return self._newest[1]

    def _run(self, request: Any) -> Run | None:
        return self._playground.runs.get(request.get("run") if isinstance(request, dict) else None)


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


def _whole_rows(start: int, read: int, heads: int) -> int:
    """Bytes of the rows from `start` on that one answer may carry: at least one row."""
    size = 0
    for row in range(start, read):
        if size and size + heads * (row + 1) > _MOST_BYTES:
            break
        size += heads * (row + 1)
    return size


def _clamped(request: Any, field: str, most: int) -> int:
    """A whole number from 0 to `most`, whatever the browser sent."""
    value = request.get(field, 0)
    return int(min(max(value, 0), most)) if isinstance(value, int) else 0
