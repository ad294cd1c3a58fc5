"""The texts of this server's visitors: ids and settings, small enough to keep hundreds."""

from __future__ import annotations

import threading
import uuid
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Literal

from gpt2.engine import Engine, Off
from gpt2.inference.executor import Floats, Head
from gpt2.sampling import SamplingOptions
from gpt2.ui.capture import Capture
from gpt2.ui.capture_budget import SERVER_BUDGET
from gpt2.ui.maps import MapView, Mode

_MOST_RUNS = 500

# What stands in for a head that is off: nothing, or its mean output over the prompt.
Instead = Literal["zero", "mean"]


@dataclass(frozen=True, slots=True)
class Branch:
    """Where a text was rewritten: at place `at` of the run `of`, where `token` was put, if any."""

    of: str
    at: int
    token: int | None


@dataclass(slots=True)
class Run:
    """One text. `ids` grows while it runs; `read` of them have an attention row.

    `layer`, `head` and `mode` are the map its reader looks at; `watched` is False when nobody looks
    at any, `atlas` when nobody looks at all heads. Its browser wants `spare` seconds between two
    messages to draw in. What is kept of its attention is in `capture`, and can be made anew from
    the ids.
    """

    size: str
    options: SamplingOptions
    ids: list[int]
    prompt: int
    layers: int
    heads: int
    layer: int = 0
    read: int = 0
    off: tuple[Head, ...] = ()  # heads that are switched off
    instead: Instead = "zero"
    means: dict[Head, Floats] | None = None  # of those heads, once they are known
    live_until: float = 0.0  # until then somebody follows the newest token layer by layer
    stream: tuple[int, Floats] | None = None  # the place of that token, and what led to it
    branch: Branch | None = None  # of which text this one is another end
    most: int = 0  # tokens it was to reach at most
    example: bool = False
    draft: str = ""  # who guessed ahead, by the name people read
    guesses: dict[int, int] = field(default_factory=dict)  # place -> what the draft guessed there
    speed_up: float | None = None
    head: int = 0
    mode: Mode = "head"
    watched: bool = True
    atlas: bool = True
    spare: float = 0.1
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    capture: Capture = field(init=False)

    def __post_init__(self) -> None:
        self.capture = Capture(self.layers, self.heads)

    @property
    def view(self) -> MapView:
        """The map its reader looks at."""
        return MapView(self.layer, self.head, self.mode)

    def look_at(self, view: MapView) -> None:
        """From now on, this map."""
        self.layer, self.head, self.mode = view.layer, view.head, view.mode

    def look_as(self, other: Run) -> None:
        """Where the reader of another text of this shape looks."""
        self.look_at(other.view)
        self.watched, self.atlas, self.spare = other.watched, other.atlas, other.spare

    def off_in(
        self,
        engine: Engine,
        heads: tuple[Head, ...] | None = None,
        instead: Instead | None = None,
    ) -> Off:
        """Its heads that are off, or others, as the engine takes them: with what stands in."""
        own = heads is None
        off = self.off if heads is None else heads
        if (instead or self.instead) == "zero" or not off:
            return off
        if own and self.means is not None:
            return self.means
        means = engine.head_means(self.ids[: self.prompt], off)
        if own:
            self.means = means
        return means

    def wanted(self) -> range:
        """The layers to watch: all, or none when nobody looks."""
        return range(self.layers if self.watched else 0)


class RunStore:
    """Runs by their unguessable id; the least recently used is forgotten first."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._runs: OrderedDict[str, Run] = OrderedDict()

    def add(self, run: Run) -> None:
        with self._lock:
            self._runs[run.id] = run
            while len(self._runs) > _MOST_RUNS:
                SERVER_BUDGET.forget(self._runs.popitem(last=False)[1].capture)

    def get(self, run_id: object) -> Run | None:
        with self._lock:
            run = self._runs.get(run_id) if isinstance(run_id, str) else None
            if run is not None:
                self._runs.move_to_end(run.id)
            return run
