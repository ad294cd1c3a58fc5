"""Texts as a page follows them: what Gradio says until they begin, then what their logs say."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from gpt2.ui.session.playground import Playground
from gpt2.ui.session.run_log import RunLog
from tests.small import until


def ended(log: RunLog | None) -> RunLog:
    """The log, once nobody writes it any more."""
    assert log
    assert until(lambda: not log.running, 30)
    return log


def outputs(playground: Playground, frames: Iterable[tuple[Any, ...]]) -> list[dict[str, Any]]:
    """Everything that is said, of a text that begins to its end."""
    said: list[dict[str, Any]] = []
    for frame in frames:
        output = frame[0]
        if output and output.get("run"):
            said += statuses(playground.logs.get(output["run"]))
        elif output:
            said.append(output)
    return said


def statuses(log: RunLog | None) -> Iterator[dict[str, Any]]:
    """What a reader is told who reads as often as there is news."""
    assert log
    version, running = -1, True
    while running:
        log.wait(version, 30)
        version, status = log.snapshot()
        running = status["state"] == "running"
        yield status | {"run": log.id}


def until_writing(frames: Iterator[tuple[Any, ...]], playground: Playground) -> RunLog:
    """The log of a text, with a new token at least."""
    for frame in frames:
        if frame[0] and (log := playground.logs.get(frame[0].get("run"))):
            assert until(lambda: len(log.ids) > log.stretches[-1].start)
            return log
    pytest.fail("no text began")
