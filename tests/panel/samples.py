"""Attention rows and messages as the server would send them."""

import base64
from typing import Any

import numpy as np

from gpt2.interpret.atlas import packed_rows
from gpt2.interpret.row_codec import to_levels


def row(i: int, head: int = 0, layer: int = 0) -> bytes:
    """Row i of a head: 0.36 on the first token, the rest on the one `head + layer` back."""
    weights = np.zeros(i + 1, np.float32)
    weights[0] += 0.36
    weights[max(0, i - head - layer)] += 0.64
    return to_levels(weights).tobytes()


def pack(start: int, stop: int, head: int = 0, layer: int = 0) -> str:
    return base64.b64encode(b"".join(row(i, head, layer) for i in range(start, stop))).decode()


def view(layer: int = 1, head: int = 0, mode: str = "head") -> dict[str, Any]:
    return {"mode": mode, "layer": layer, "head": head, "plain": False}


def atlas(start: int, stop: int, heads: int, bins: int = 32) -> str:
    """Rows of all heads small, as a running text sends them: all alike."""
    rows = [
        np.broadcast_to(np.frombuffer(row(i, 1), np.uint8), (1, heads, i + 1))
        for i in range(start, stop)
    ]
    return base64.b64encode(packed_rows(rows, bins)).decode()


def attention(
    start: int, stop: int, *, run: str = "a", layers: int = 3, heads: int = 2, layer: int = 1
) -> dict[str, Any]:
    return {
        "run": run,
        "layers": layers,
        "heads": heads,
        "view": view(layer),
        "start": start,
        "n": stop,
        "rows": pack(start, stop, 0, layer),
        "bins": 32,
        "atlas": atlas(start, stop, layers * heads),
        "example": False,
    }


def output(
    tokens: list[Any],
    *,
    start: int = 0,
    run: str = "a",
    prompt: int = 2,
    state: str = "running",
    note: str = "",
) -> dict[str, Any]:
    n = start + len(tokens)
    stats = {"new": max(0, n - prompt), "limit": 40, "speed": 412.3, "first": 0.03, "seed": 1234}
    return {
        "run": run,
        "start": start,
        "tokens": tokens,
        "n": n,
        "prompt": prompt,
        "state": state,
        "note": note,
        "stats": stats,
    }


def words(count: int) -> list[str]:
    return [f" w{i}" for i in range(count)]
