"""The texts of this server's visitors: ids and settings, small enough to keep hundreds."""

from __future__ import annotations

import threading
import uuid
from collections import OrderedDict
from dataclasses import dataclass, field

from gpt2.sampling import SamplingOptions

_MOST_RUNS = 500


@dataclass(slots=True)
class Run:
    """One text. `ids` grows while it runs; `read` of them have an attention row.

    Attention itself is not kept: the browser has what was sent, and `Engine.attention_rows` makes
    any of it anew from the ids.
    """

    size: str
    options: SamplingOptions
    ids: list[int]
    prompt: int
    layers: int
    heads: int
    layer: int = 0
    read: int = 0
    example: bool = False
    id: str = field(default_factory=lambda: uuid.uuid4().hex)


class RunStore:
    """Runs by their unguessable id; the least recently used is forgotten first."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._runs: OrderedDict[str, Run] = OrderedDict()

    def add(self, run: Run) -> None:
        with self._lock:
            self._runs[run.id] = run
            while len(self._runs) > _MOST_RUNS:
                self._runs.popitem(last=False)

    def get(self, run_id: object) -> Run | None:
        with self._lock:
            run = self._runs.get(run_id) if isinstance(run_id, str) else None
            if run is not None:
                self._runs.move_to_end(run.id)
            return run
