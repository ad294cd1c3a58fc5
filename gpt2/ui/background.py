"""Runs work in a thread of its own and hands over what has piled up since last asked.

PyTorch keeps its helper threads per calling thread, and Gradio calls a generator from a different
one each time; and a browser slower than the model must not slow the model down.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextvars import copy_context
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")
_SETTLE = 0.004  # seconds for the rest of what came together: it is handed over one by one


@dataclass(frozen=True, slots=True)
class _End:
    error: BaseException | None


class Background(Generic[T]):
    """`batches()` yields lists of items: at least one, or none when `patience` seconds passed.

    `work` gets the function that hands an item over, and must watch its own stop signal. What it
    raises is raised by `batches`.
    """

    def __init__(
        self, work: Callable[[Callable[[T], None]], None], patience: float, pause: float
    ) -> None:
        self._work = work
        self._patience = patience
        self._pause = pause
        self._items: queue.SimpleQueue[T | _End] = queue.SimpleQueue()
        # ZeroGPU asks Gradio's context variables which visitor wants a GPU.
        run = copy_context().run
        self._thread = threading.Thread(target=run, args=(self._run,), daemon=True)
        self._thread.start()

    def join(self, seconds: float) -> None:
        """Wait for the work to end, at most so long."""
        self._thread.join(seconds)

    def _run(self) -> None:
        error: BaseException | None = None
        try:
            self._work(self._items.put)
        except BaseException as raised:  # raised again in `batches`, where somebody can act on it
            error = raised
        self._items.put(_End(error))

    def batches(self) -> Iterator[list[T]]:
        """Until the work is done. Items closer together than `pause` seconds come as one batch."""
        while True:
            batch: list[T] = []
            end = self._collect(batch)
            if batch or end is None:
                yield batch
            if end is not None:
                if end.error is not None:
                    raise end.error
                return
            time.sleep(self._pause)

    def _collect(self, batch: list[T]) -> _End | None:
        try:
            item = self._items.get(timeout=self._patience)
            if not isinstance(item, _End):
                time.sleep(_SETTLE)
            while not isinstance(item, _End):
                batch.append(item)
                item = self._items.get_nowait()
            return item
        except queue.Empty:
            return None
