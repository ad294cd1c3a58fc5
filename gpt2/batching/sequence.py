"""One request inside the batch: its ids so far, and the queue on which its steps are handed out."""

from __future__ import annotations

import queue
from collections.abc import Callable, Collection, Iterator

from gpt2.batching.held import HeldSteps, Watched
from gpt2.generation import Step
from gpt2.sampling import SamplingOptions


class Sequence:
    """`ids` grows up to `end`; `read` of them are in slot `slot` of the cache.

    Only the batch's own thread changes it, except that who follows it sets `cancelled`, and
    `wanted` when it is `paced`: then a pass is made only when its step is waited for.
    """

    def __init__(
        self,
        ids: list[int],
        end: int,
        options: SamplingOptions,
        watched: Callable[[], Collection[int]],
        stopped: Callable[[], bool],
        paced: bool,
    ) -> None:
        self.ids = ids
        self.prompt = len(ids)
        self.end = end
        self.options = options
        self.watched = watched
        self.slot = -1
        self.read = 0
        self.cancelled = False
        self.over = False
        self.wanted = not paced
        self.paced = paced
        self.held: HeldSteps | None = None  # once there is a slot
        self._stopped = stopped
        self._steps: queue.SimpleQueue[Step | BaseException | None] = queue.SimpleQueue()

    def add(self, step: Step) -> None:
        """Count a pass that brought `step`, and hand it out."""
        self.tell()
        self._count(step.fed, step.token)
        self._steps.put(step)

    def hold(self, passed: Watched) -> None:
        """Count a pass whose step is told with the next ones."""
        assert self.held
        if not self.held.fits(passed):
            self.tell()
        self._count(1, passed.token)
        if self.held.add(passed) or self.paced:
            self.tell()

    def tell(self) -> None:
        """Hand out what is held."""
        if self.held and not self.cancelled:
            for step in self.held.take(self.read):
                self._steps.put(step)

    def finish(self, error: BaseException | None = None) -> None:
        """No more steps; `error`, if any, is raised where they are followed."""
        self.over = True
        try:
            self.tell()
        except Exception as failed:
            error = error or failed
        self._steps.put(error)

    def _count(self, fed: int, token: int | None) -> None:
        self.read += fed
        if token is not None:
            self.ids.append(token)
        self.wanted = not self.paced

    @property
    def reading(self) -> bool:
        """The prompt is not read to its end."""
        return self.read < self.prompt

    def goes_on(self) -> bool:
        """Whether there is a pass to do. Asks `stopped`, which may raise what it likes."""
        if self.cancelled or not (self.reading or len(self.ids) < self.end):
            return False
        return not self._stopped()

    def follow(self, want: Callable[[], None]) -> Iterator[Step]:
        """Steps as they come; `want` is called before each. Raises what went wrong."""
        while True:
            want()
            item = self._steps.get()
            if item is None:
                return
            if isinstance(item, BaseException):
                raise item
            yield item
