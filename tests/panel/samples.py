"""Attention rows and messages as the server would send them."""

import base64
import math
from typing import Any


def row(i: int, heads: int, layer: int = 0) -> bytes:
    """Row i for every head: a weight on the first token, the rest on the one `head` back."""
    out = bytearray()
    for head in range(heads):
        weights = [0.0] * (i + 1)
        weights[0] += 0.36
        weights[max(0, i - head - layer)] += 0.64
        out += bytes(round(255 * math.sqrt(weight)) for weight in weights)
    return bytes(out)


def pack(start: int, stop: int, heads: int, layer: int = 0) -> str:
    return base64.b64encode(b"".join(row(i, heads, layer) for i in range(start, stop))).decode()


def attention(
    start: int, stop: int, *, run: str = "a", layers: int = 3, heads: int = 2, layer: int = 1
) -> dict[str, Any]:
    return {
        "run": run,
        "layers": layers,
        "heads": heads,
        "layer": layer,
        "start": start,
        "n": stop,
        "rows": pack(start, stop, heads, layer),
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
