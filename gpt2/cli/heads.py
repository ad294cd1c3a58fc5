"""python -m gpt2 heads: every head's roles, on the probe or on a text, as a table or as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict

import numpy as np

from gpt2.engine import Engine
from gpt2.head_probe import probe, whole_maps
from gpt2.interpret.head_roles import Floats, RoleMeter, Roles, strongest
from gpt2.loading import load

_COLUMNS = {
    "previous": "prev",
    "previous_of_rest": "p/rest",
    "self": "self",
    "first": "first",
    "duplicate": "dupl",
    "induction": "induct",
    "effective": "tokens",
    "distance": "dist",
}


def print_heads(size: str, text: str | None, json: bool) -> None:
    """On the probe, or on `text`. Layers and heads count from 1, as on the page."""
    engine = load(size)
    roles = probe(engine) if text is None else on_text(engine, text)
    print(as_json(roles) if json else as_table(roles))


def on_text(engine: Engine, text: str) -> Roles:
    """The roles (L, H) on `text`. Raises ValueError when it is too long."""
    ids = engine.encode(text, new_tokens=0)
    layers = whole_maps(engine, ids)
    meter = RoleMeter((engine.config.num_blocks, engine.config.num_heads))
    for i in range(len(ids)):
        meter.add(np.stack([maps[:, i, : i + 1] for maps in layers]), ids[: i + 1])
    return meter.roles()


def as_table(roles: Roles) -> str:
    """One line a head; a dash where there is no evidence."""
    names = strongest(roles)
    lines = ["layer head " + " ".join(f"{title:>6}" for title in _COLUMNS.values()) + "  role"]
    for layer, head in np.ndindex(roles.previous.shape):
        scores = [getattr(roles, name)[layer, head] for name in _COLUMNS]
        numbers = " ".join(f"{'-' if np.isnan(s) else format(s, '.3f'):>6}" for s in scores)
        lines.append(f"{layer + 1:5} {head + 1:4} {numbers}  {names[layer, head]}".rstrip())
    if roles.repeats == 0:
        lines.append("No token repeats: no evidence about duplicates and induction.")
    return "\n".join(lines)


def as_json(roles: Roles) -> str:
    """Every array as lists; null where there is no evidence."""
    scores = {name: _lists(value) for name, value in asdict(roles).items() if name != "repeats"}
    return json.dumps({"repeats": roles.repeats, **scores, "role": strongest(roles).tolist()})


def _lists(scores: Floats) -> list[object]:
    known = np.round(scores, 4).astype(object)
    known[np.isnan(scores)] = None
    lists: list[object] = known.tolist()
    return lists
