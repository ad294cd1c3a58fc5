"""Which engines are in memory: loaded on demand, kept while they fit, never dropped in use."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from gpt2.checkpoint import Cancelled
from gpt2.engine import Engine, load

Loader = Callable[[str, Callable[[], bool]], Engine]

_POLL = 0.1  # seconds between two looks at `cancelled`
_CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")


class OutOfMemory(Exception):
    """A model does not fit beside those in use. The message has the numbers."""


def memory_budget() -> int:
    """Bytes that models may fill: 80 % of the machine, or of what its container may use."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limit = _CGROUP_LIMIT.read_text().strip() if _CGROUP_LIMIT.exists() else "max"
    return int(0.8 * min(total, int(limit) if limit.isdigit() else total))


def _load(name: str, cancelled: Callable[[], bool]) -> Engine:
    return load(name, cancelled=cancelled)


class _Resident:
    """One engine, how many runs use it, and the lock that lets only one of them load it.

    `size_bytes` is counted from before loading, so that two loads do not take the same room.
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.engine: Engine | None = None
        self.users = 0
        self.size_bytes = 0

    @contextmanager
    def alone(self, cancelled: Callable[[], bool]) -> Iterator[None]:
        """Only one at a time. Raises Cancelled when somebody is told to stop while he waits."""
        while not self.lock.acquire(timeout=_POLL):
            if cancelled():
                raise Cancelled
        try:
            yield
        finally:
            self.lock.release()


class Residency:
    """Engines by name, least recently used first, within `budget` bytes of weights."""

    def __init__(self, budget: int, loader: Loader = _load) -> None:
        self._budget = budget
        self._loader = loader
        self._lock = threading.Lock()
        self._residents: OrderedDict[str, _Resident] = OrderedDict()

    @contextmanager
    def engine(
        self,
        name: str,
        size_bytes: int,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> Iterator[Engine]:
        """The engine, loaded if need be; it stays in memory at least until the block ends.

        `size_bytes` is what its weights will take. Raises OutOfMemory when there is no room beside
        engines in use, Cancelled, and whatever the loader raises.
        """
        with self._lock:
            resident = self._residents.setdefault(name, _Resident())
            self._residents.move_to_end(name)
            resident.users += 1
        try:
            with resident.alone(cancelled):
                engine = resident.engine or self._load_into(resident, name, size_bytes, cancelled)
            yield engine
        finally:
            with self._lock:
                resident.users -= 1
                if resident.engine is None and resident.users == 0:
                    self._residents.pop(name, None)

    def is_loaded(self, name: str) -> bool:
        """Whether a run could start at once."""
        resident = self._residents.get(name)
        return resident is not None and resident.engine is not None

    def _load_into(
        self,
        resident: _Resident,
        name: str,
        size_bytes: int,
        cancelled: Callable[[], bool],
    ) -> Engine:
        self._make_room(resident, name, size_bytes)
        try:
            engine = self._loader(name, cancelled)
        except BaseException:
            resident.size_bytes = 0
            raise
        resident.size_bytes = engine.config.num_parameters * 4
        resident.engine = engine
        return engine

    def _make_room(self, resident: _Resident, name: str, size_bytes: int) -> None:
        with self._lock:
            in_use = sum(r.size_bytes for r in self._residents.values() if r.users)
            if in_use + size_bytes > self._budget:
                raise OutOfMemory(
                    f"{name} needs {size_bytes / 1e9:.1f} GB; of the {self._budget / 1e9:.1f} GB "
                    f"this machine has for models, {in_use / 1e9:.1f} GB are in use. "
                    "Choose a smaller size, or try again when other runs have ended."
                )
            taken = sum(r.size_bytes for r in self._residents.values())
            for other, idle in list(self._residents.items()):
                if idle.users == 0 and taken + size_bytes > self._budget:
                    taken -= idle.size_bytes
                    del self._residents[other]
            resident.size_bytes = size_bytes
