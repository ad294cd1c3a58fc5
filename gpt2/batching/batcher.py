"""The worker: one thread that advances every running request, token by token."""

from __future__ import annotations

import atexit
import threading
from collections import deque
from collections.abc import Callable, Collection, Iterator
from collections.abc import Sequence as Ids
from functools import cached_property
from weakref import WeakKeyDictionary

import torch

from gpt2.batching.forward import Forward
from gpt2.batching.padding import row_multiple
from gpt2.batching.sequence import Sequence
from gpt2.generation import Step, check_room
from gpt2.model import GPT2Model
from gpt2.runtime.watchdog import Watchdog
from gpt2.sampling import SamplingOptions

_GRACE = 5.0  # seconds for the last pass when the program ends
_PATIENCE = 0.1  # seconds between two looks at `stopped` while no step is wanted


class Batcher:
    """At most `slots` requests at once; the others wait, first come first served.

    The thread lives as long as somebody is running, and the cache as long as the thread.
    """

    def __init__(self, model: GPT2Model, slots: int) -> None:
        self.slots = slots
        self._model = model
        self._news = threading.Condition()
        self._waiting: deque[Sequence] = deque()
        self._thread: threading.Thread | None = None
        self._closing = False
        self._watchdog = Watchdog()

    def generate(
        self,
        ids: Ids[int],
        new_tokens: int,
        options: SamplingOptions,
        watched: Callable[[], Collection[int]] = tuple,
        stopped: Callable[[], bool] = lambda: False,
        paced: bool = False,
    ) -> Iterator[Step]:
        """`generation.generate`, in company. Closing the iterator frees the slot within a pass.

        A `paced` one advances only as its steps are taken. Raises ValueError (`check_room`) before
        the first pass, and `NotFinite` or what the model raised after the steps that went well.
        """
        check_room(ids, new_tokens, self._model.config.max_seq_len)
        return self._follow(
            Sequence(list(ids), len(ids) + new_tokens, options, watched, stopped, paced)
        )

    def _follow(self, sequence: Sequence) -> Iterator[Step]:
        with self._news:
            self._waiting.append(sequence)
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, daemon=True)
                _last_threads[self] = self._thread
                self._thread.start()

        def want() -> None:
            with self._news:
                sequence.wanted = True
                self._news.notify()

        try:
            yield from sequence.follow(want if sequence.paced else lambda: None)
        finally:
            with self._news:
                sequence.cancelled = True
                self._news.notify()

    @cached_property
    def _multiple(self) -> int:
        return row_multiple(self._model, self.slots)

    def _work(self) -> None:
        running: list[Sequence] = []
        try:
            self._serve(running)
        except BaseException as error:  # nobody may wait for a thread that has died
            self._give_up(running, error)

    @torch.inference_mode()
    def _serve(self, running: list[Sequence]) -> None:
        forward = Forward(self._model, self.slots, self._multiple)
        while self._admit(running, forward):
            ready = [sequence for sequence in running if sequence.wanted]
            reader = next((sequence for sequence in ready if sequence.reading), None)
            writing = [sequence for sequence in ready if not sequence.reading]
            if reader is not None:
                for sequence in writing:  # a piece takes as long as many tokens
                    forward.tell(sequence)
                writing = [sequence for sequence in writing if not sequence.over]
                with self._watchdog.watching():
                    forward.read_piece(reader)
                # To the back of the line: a long prompt takes turns with short ones.
                running.remove(reader)
                running.append(reader)
            if writing:
                with self._watchdog.watching():
                    forward.write_tokens(writing)

    def _admit(self, running: list[Sequence], forward: Forward) -> bool:
        """Let those go who are done and those in who wait; False when nobody is left."""
        while True:
            for sequence in running:
                self._ask(sequence)
            for sequence in [s for s in running if s.over]:
                running.remove(sequence)
                forward.leave(sequence)
            with self._news:
                self._let_in(running, forward)
                if not running:
                    self._thread = None
                if not running or any(sequence.wanted for sequence in running):
                    return bool(running)
                self._news.wait(_PATIENCE)

    def _let_in(self, running: list[Sequence], forward: Forward) -> None:
        while self._waiting and len(running) < self.slots:
            sequence = self._waiting.popleft()
            self._ask(sequence)
            if not sequence.over:
                forward.join(sequence)
                running.append(sequence)

    def _ask(self, sequence: Sequence) -> None:
        try:
            if not sequence.over and (self._closing or not sequence.goes_on()):
                sequence.finish()
        except Exception as error:
            sequence.finish(error)

    def _give_up(self, running: list[Sequence], error: BaseException) -> None:
        with self._news:
            for sequence in (*running, *self._waiting):
                if not sequence.over:
                    sequence.finish(error)
            self._waiting.clear()
            self._thread = None

    def close(self) -> None:
        """End every run after the pass that is being made."""
        self._closing = True


# Kept until the next one starts: a thread counts as ended only when Python is out of it.
_last_threads: WeakKeyDictionary[Batcher, threading.Thread] = WeakKeyDictionary()


@atexit.register
def _close_all() -> None:
    """A thread that is inside PyTorch when Python ends aborts the process."""
    for batcher, thread in list(_last_threads.items()):
        batcher.close()
        thread.join(_GRACE)
