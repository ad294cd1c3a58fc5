"""Every head's roles on a text, measured as it grows, and on the probe, once for each model."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import asdict
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from gpt2.engine import Engine
from gpt2.head_probe import probe
from gpt2.interpret.head_roles import RoleMeter, Roles, strongest
from gpt2.interpret.row_codec import to_weights
from gpt2.ui.session.attention_store import Capture
from gpt2.ui.session.run_log import RunLog

_SEEDS = 2  # somebody waits for the page's probe; `python -m gpt2 heads` takes more


class _Measured:
    """A meter, and how many rows it has seen."""

    def __init__(self, capture: Capture) -> None:
        self.meter = RoleMeter((capture.layers, capture.heads))
        self.rows = 0


class RoleRequests:
    """`rebuild(run, read)` brings rows back that are not kept."""

    def __init__(self, rebuild: Callable[[RunLog, int], None]) -> None:
        self._rebuild = rebuild
        self._texts: WeakKeyDictionary[Capture, _Measured] = WeakKeyDictionary()
        self._probes: WeakKeyDictionary[Engine, dict[str, Any]] = WeakKeyDictionary()
        self._lock = threading.Lock()

    def on_text(self, run: RunLog) -> dict[str, Any]:
        """On the rows there are so far; only new ones are measured."""
        read = run.read
        with self._lock:
            seen = self._texts.setdefault(run.capture, _Measured(run.capture))
            rows = run.rows(seen.rows, read)
            if rows is None:
                self._rebuild(run, read)
                rows = run.rows(seen.rows, read) or []
            for row in rows:
                seen.meter.add(to_weights(row), run.ids[: row.shape[-1]])
            seen.rows += len(rows)
            return {"run": run.id, "n": seen.rows, "probe": False, **_value(seen.meter.roles())}

    def on_probe(self, engine: Engine, run: RunLog) -> dict[str, Any]:
        """On random tokens read twice; the answer is kept as long as the model is in memory."""
        if engine not in self._probes:
            self._probes[engine] = _value(probe(engine, seeds=_SEEDS))
        return {"run": run.id, "n": run.read, "probe": True, **self._probes[engine]}


def _value(roles: Roles) -> dict[str, Any]:
    """Flat lists, head after head of layer after layer; null where there is no evidence."""
    scores = {}
    for name, array in asdict(roles).items():
        if name == "repeats":
            continue
        flat = np.round(array.reshape(-1), 3).astype(object)
        flat[np.isnan(array.reshape(-1))] = None
        scores[name] = flat.tolist()
    return {
        "repeats": roles.repeats,
        "scores": scores,
        "role": strongest(roles).reshape(-1).tolist(),
    }
