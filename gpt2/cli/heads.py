"""python -m gpt2 heads: every head's roles, on the probe or on a text, as a table or as JSON."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from typing import Any

import numpy as np

from gpt2.engine import Engine
from gpt2.head_probe import LENGTH, SEEDS, probe, whole_maps
from gpt2.head_roles import Floats, RoleMeter, Roles, strongest
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


def add_heads(commands: argparse._SubParsersAction[Any], sizes: str) -> None:
    """The `heads` command; `sizes` is the help of --size."""
    heads = commands.add_parser(
        "heads",
        help="what every attention head does, in numbers",
        description=f"Scores every head on {SEEDS} texts of {LENGTH} random tokens, each repeated "
        "once (gpt2/head_probe.py), or on --text. gpt2/head_roles.py says what each score is.",
    )
    heads.add_argument("--size", default="tiny", help=sizes)
    heads.add_argument("--text", help="measure on this text instead of the probe")
    heads.add_argument("--json", action="store_true", help="all numbers, as [layer][head]")
    heads.set_defaults(run=print_heads)


def print_heads(options: argparse.Namespace) -> None:
    """Layers and heads count from 1, as on the page."""
    engine = load(options.size)
    roles = probe(engine) if options.text is None else on_text(engine, options.text)
    print(as_json(roles) if options.json else as_table(roles))


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
