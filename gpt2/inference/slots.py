"""Who holds which slot of an executor. Several schedulers may share one: a model that some visitors
write with is the draft of others."""

from __future__ import annotations

import threading

from gpt2.inference.executor import NOTHING, Executor, Ints, Pass, Watch


class Closed(Exception):
    """The model is no longer in memory; the message is a sentence for people."""


class Slots:
    """The slots of `executor`, and the lock that lets one thread at a time call it."""

    def __init__(self, executor: Executor) -> None:
        self.executor = executor
        self._lock = threading.Lock()
        self._free = set(range(executor.slots))
        self._closed = False

    def take(self) -> int | None:
        """The lowest free slot, so that memory grows with the number of runs; None without any."""
        with self._lock:
            slot = min(self._free, default=None)
            if slot is not None:
                self._free.remove(slot)
            return slot

    def give_back(self, slot: int) -> None:
        """What it holds is no longer needed."""
        with self._lock:
            self._free.add(slot)
            if len(self._free) == self.executor.slots and not self._closed:
                self.executor.forget()

    def run(
        self, ids: Ints, positions: Ints, slots: Ints, wanted: Ints, watch: Watch = NOTHING
    ) -> Pass:
        """`Executor.run`, one at a time. Raises Closed."""
        with self._lock:
            if self._closed:  # its memory may be somebody else's by now
                raise Closed("The model has been dropped from memory. Try again.")
            return self.executor.run(ids, positions, slots, wanted, watch)

    def close(self) -> None:
        """`Executor.close`, after the pass that a run of another model may be making: a draft's."""
        with self._lock:
            self._closed = True
            self.executor.close()
