"""A comparison of two models that need no download, and what its frames show."""

from __future__ import annotations

from collections.abc import Callable

from gpt2 import Engine
from gpt2.residency import Residency
from gpt2.ui.compare.comparison import Comparison, Frame
from gpt2.ui.compare.requested import compared
from gpt2.ui.session.limits import Limits
from gpt2.ui.session.playground import Playground
from gpt2.ui.session.requests import Request
from gpt2.ui.session.runner import Runner

PROMPT = "It was late, and the fox was not at home."
NAMES = ["tiny", "second"]


def wanted(new_tokens: int = 10, prompt: str = PROMPT, sizes: object = NAMES) -> list[Request]:
    return compared(prompt, sizes, 1.0, new_tokens, 0, 1.0, 4)


def comparison_of(
    load: Callable[[str], Engine], budget: int = 10**9, most: int = 2, seconds: int = 60
) -> tuple[Comparison, Playground]:
    residency = Residency(budget, lambda name, _: load(name))
    playground = Playground(Runner(residency, most, Limits(seconds=seconds)))
    return Comparison(playground), playground


def shown(frames: list[Frame], playground: Playground) -> list[list[dict]]:
    """For each column, its outputs in order; of a log what it says now."""
    values = [value for value, _, _ in frames]
    return [
        [
            said_now(u["output"], playground)
            for u in (v["updates"].get(str(at), {}) for v in values)
            if "output" in u
        ]
        for at in range(len(values[0]["columns"]))
    ]


def said_now(output: dict, playground: Playground) -> dict:
    """An output, or what the log that it names says now."""
    log = playground.logs.get(output["run"])
    return log.snapshot()[1] | {"run": log.id} if log else output
