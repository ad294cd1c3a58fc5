"""What a visitor is told whose text the server does not have."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from gpt2.residency import Residency
from gpt2.ui.handlers import Handlers
from gpt2.ui.playground import Playground
from gpt2.ui.runner import Runner
from tests.small import small_engine

NOBODY: Any = SimpleNamespace(session_hash="nobody")


def test_continue_without_a_text_says_what_to_do() -> None:
    runner = Runner(Residency(10**9, lambda name, _: small_engine()), 2)
    handlers = Handlers(Playground(runner))
    [(said, *_)] = handlers.go_on("", "tiny", 0.8, 5, 0, 1.0, "", "off", NOBODY)
    assert said["note"] == "There is no text to continue yet. Generate one first."
