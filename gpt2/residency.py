"""Which engines are in memory: loaded on demand, kept while they fit, never dropped in use."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial

from gpt2.checkpoint import Cancelled
from gpt2.config import GPT2Config
from gpt2.engine import Engine
from gpt2.loading import load_as_wanted
from gpt2.precision import weight_bytes
from gpt2.runtime.device import CPU, device_memory
from gpt2.runtime.units import format_bytes

Loader = Callable[[str, Callable[[], bool]], Engine]

_POLL = 0.1  # seconds between two looks at `cancelled`


class OutOfMemory(Exception):
    """A model does not fit beside those in use. The message has the numbers."""


def memory_budget(device: str = CPU) -> int:
    """Bytes that models may fill: 80 % of what this process may use, or of the GPU's memory."""
    return int(0.8 * device_memory(device))


def cache_bytes(config: GPT2Config, tokens: int) -> int:
    """Memory of the float32 keys and values of one text."""
    return 2 * 4 * config.num_blocks * config.embedding_dimension * tokens


class _Resident:
    """One engine, how many runs use it, and the lock that lets only one of them load it.

    `loading_bytes` are counted from before loading, so that two loads do not take the same room;
    `run_bytes` is what the runs that use it need beside its weights, `extra_bytes` what the engine
    itself holds beside them (`Engine.reserve`).
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.engine: Engine | None = None
        self.users = 0
        self.loading_bytes = 0
        self.run_bytes = 0
        self.extra_bytes = 0

    @property
    def size_bytes(self) -> int:
        """What its weights take, which may change with their precision, and what is beside them."""
        if self.engine is None:
            return self.loading_bytes
        return weight_bytes(self.engine.config, self.engine.precision) + self.extra_bytes

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
    """Engines by name, least recently used first, within `budget` bytes: weights and caches."""

    def __init__(self, budget: int, loader: Loader = load_as_wanted) -> None:
        self.budget = budget
        self._loader = loader
        self._lock = threading.Lock()
        self._residents: OrderedDict[str, _Resident] = OrderedDict()
        self.evictions = 0  # engines dropped to make room

    @contextmanager
    def engine(
        self,
        name: str,
        size_bytes: int,
        cancelled: Callable[[], bool] = lambda: False,
        run_bytes: int = 0,
    ) -> Iterator[Engine]:
        """The engine, loaded if need be; it stays in memory at least until the block ends.

        `size_bytes` is what its weights will take, `run_bytes` what the block itself needs. Raises
        OutOfMemory when there is no room beside what is in use, before anything is loaded;
        Cancelled; and whatever the loader raises.
        """
        held = 0
        with self._lock:
            resident = self._residents.setdefault(name, _Resident())
            self._residents.move_to_end(name)
            resident.users += 1
        try:
            with resident.alone(cancelled):
                load = resident.engine is None
                self._make_room(resident, name, size_bytes if load else 0, run_bytes)
                held = run_bytes
                engine = resident.engine or self._load_into(resident, name, cancelled)
            yield engine
        finally:
            with self._lock:
                resident.users -= 1
                resident.run_bytes -= held
                if resident.engine is None and resident.users == 0:
                    self._residents.pop(name, None)

    def running_bytes(self) -> int:
        """What all runs together hold beside the weights."""
        with self._lock:
            return sum(resident.run_bytes for resident in self._residents.values())

    def is_loaded(self, name: str) -> bool:
        """Whether a run could start at once."""
        return self.in_memory(name) is not None

    def in_memory(self, name: str) -> Engine | None:
        """The engine, if it is loaded; it may be dropped at any time."""
        resident = self._residents.get(name)
        return None if resident is None else resident.engine

    def drop(self, name: str) -> bool:
        """Forget an engine that nobody uses; whether there is none of this name now."""
        with self._lock:
            resident = self._residents.get(name)
            if resident is not None and resident.users == 0:
                del self._residents[name]
            return name not in self._residents

    def loaded(self) -> dict[str, int]:
        """The engines in memory, with the bytes of their weights."""
        with self._lock:
            return {name: r.size_bytes for name, r in self._residents.items() if r.engine}

    def check(self, needs: Mapping[str, int]) -> None:
        """Raises OutOfMemory, with every number, when so many bytes never fit together."""
        total = sum(needs.values())
        if total > self.budget:
            each = ", ".join(f"{name} {format_bytes(size)}" for name, size in needs.items())
            raise OutOfMemory(
                f"Together these need {format_bytes(total)} with their caches ({each}); this "
                f"machine has {format_bytes(self.budget)} for models. Choose fewer or smaller "
                "sizes."
            )

    def _load_into(self, resident: _Resident, name: str, cancelled: Callable[[], bool]) -> Engine:
        try:
            engine = self._loader(name, cancelled)
        except BaseException:
            resident.loading_bytes = 0
            raise
        engine.reserve = partial(self._reserve, resident, name)
        resident.engine = engine
        return engine

    def _reserve(self, resident: _Resident, name: str, size_bytes: int) -> None:
        """Count what an engine holds beside its weights. Raises OutOfMemory, before it does."""
        more = size_bytes - resident.extra_bytes
        if more > 0:
            self._make_room(resident, name, 0, more)
        with self._lock:
            resident.extra_bytes = size_bytes
            resident.run_bytes -= max(more, 0)  # which is how room for it was kept

    def _make_room(self, resident: _Resident, name: str, size_bytes: int, run_bytes: int) -> None:
        more = size_bytes + run_bytes
        with self._lock:
            residents = self._residents.values()
            running = sum(r.run_bytes for r in residents)
            in_use = running + sum(r.size_bytes for r in residents if r.users)
            if in_use + more > self.budget:
                raise OutOfMemory(
                    f"{name} needs {format_bytes(more)}; of the {format_bytes(self.budget)} "
                    f"this machine has for models, {format_bytes(in_use)} are in use. "
                    "Choose a smaller size, or try again when other runs have ended."
                )
            taken = running + sum(r.size_bytes for r in residents)
            dropped: list[_Resident] = []
            for other, idle in list(self._residents.items()):
                if idle.users == 0 and taken + more > self.budget:
                    taken -= idle.size_bytes
                    del self._residents[other]
                    self.evictions += 1
                    dropped.append(idle)
            resident.loading_bytes += size_bytes
            resident.run_bytes += run_bytes
        for each in dropped:
            if each.engine is not None:
                each.engine.close()
