"""Runs work in a thread of its own and hands over what it says.

PyTorch keeps its helper threads per calling thread, and Gradio calls a generator from a different
one each time; and a text goes on being written after the call that began it.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from contextvars import copy_context
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _End:
    error: BaseException | None


class Background(Generic[T]):
    """`batches()` yields lists of items: at least one, or none when `patience` seconds passed.

    `work` gets the function that hands an item over, and must watch its own stop signal. What it
    raises is raised by `batches`. `ended` is called when it is over, whoever still listens.
    """

    def __init__(
        self,
        work: Callable[[Callable[[T], None]], None],
        patience: float,
        ended: Callable[[], object] = lambda: None,
    ) -> None:
        self._work = work
        self._patience = patience
        self._ended = ended
        self._items: queue.SimpleQueue[T | _End] = queue.SimpleQueue()
        # ZeroGPU asks Gradio's context variables which visitor wants a GPU.
        run = copy_context().run
        self._thread = threading.Thread(target=run, args=(self._run,), daemon=True)

    def start(self) -> Background[T]:
        """Begin the work."""
        self._thread.start()
        return self

    def join(self, seconds: float) -> None:
        """Wait for the work to end, at most so long."""
        self._thread.join(seconds)

    def _run(self) -> None:
        error: BaseException | None = None
        try:
            self._work(self._items.put)
        except BaseException as raised:  # raised again in `batches`, where somebody can act on it
            error = raised
        finally:
            self._ended()
        self._items.put(_End(error))

    def batches(self) -> Iterator[list[T]]:
        """What has come since last asked, until the work is done."""
        while True:
            batch: list[T] = []
            end = self._collect(batch)
            if batch or end is None:
                yield batch
            if end is not None:
                if end.error is not None:
                    raise end.error
                return

    def _collect(self, batch: list[T]) -> _End | None:
        try:
            item = self._items.get(timeout=self._patience)
            while not isinstance(item, _End):
                batch.append(item)
                item = self._items.get_nowait()
            return item
        except queue.Empty:
            return None
