"""What a visitor is told whose text the server does not have, and how it comes back."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from gpt2.loading import load
from gpt2.residency import Residency
from gpt2.sampling import SamplingOptions
from gpt2.ui.page.handlers import Handlers
from gpt2.ui.session.frames import Value
from gpt2.ui.session.playground import Playground
from gpt2.ui.session.run_log import RunLog
from gpt2.ui.session.runner import Runner
from gpt2.ui.session.wire import wire_tokens

NOBODY: Any = SimpleNamespace(session_hash="nobody")
ENGINE = load("tiny")
OPTIONS = SamplingOptions(0.7, 5, seed=1)


@pytest.fixture
def handlers() -> Handlers:
    return Handlers(Playground(Runner(Residency(10**9, lambda name, _: ENGINE), 2)))


def a_text(handlers: Handlers) -> RunLog:
    """A text that this visitor has written."""
    list(handlers.generate("The fox", "tiny", 0.7, 8, 5, 1.0, "1", "off", NOBODY))
    return now(handlers)


def now(handlers: Handlers) -> RunLog:
    """The text that this visitor sees, once it is written."""
    log = handlers._visitors.of(NOBODY).log
    assert log
    version = -1
    while log.running:
        version = log.wait(version, 10)
    return log


def kept(run: RunLog, tokens: int | None = None) -> dict[str, Any]:
    """What a browser sends along (assets/panel/store/branches.js)."""
    return {
        "size": "tiny",
        "prompt": run.prompt,
        "state": "done",
        "seed": str(run.options.seed),
        "sampling": {"temperature": 0.7, "top_k": 5, "top_p": 1},
        "off": [list(head) for head in run.off],
        "tokens": wire_tokens(ENGINE.tokenizer, run.ids[:tokens]),
    }


def event(**data: object) -> Any:
    return SimpleNamespace(**data)


def test_continue_without_a_text_says_what_to_do(handlers: Handlers) -> None:
    [(said, *_)] = handlers.go_on("", "tiny", 0.8, 5, 0, 1.0, "", "off", NOBODY)
    assert said["note"] == "There is no text to continue yet. Generate one first."


def test_a_text_is_shown_again_as_it_is_or_as_it_was(handlers: Handlers) -> None:
    run = a_text(handlers)
    same, *_ = handlers.show(NOBODY, event(run=run.id, text=kept(run)))
    assert same["run"] == run.id
    shorter, *_ = handlers.show(NOBODY, event(run=run.id, text=kept(run, 6)))
    assert shorter["run"] != run.id
    assert len(run.ids) > 6  # the longer one stays
    assert (now(handlers).id, now(handlers).ids) == (shorter["run"], run.ids[:6])
    assert now(handlers).options == OPTIONS


def test_a_server_that_has_forgotten_a_text_takes_it_back(handlers: Handlers) -> None:
    run = a_text(handlers)
    handlers.show(NOBODY, event(run="0" * 32, text=kept(run)))
    assert now(handlers) is not run
    assert now(handlers).ids == run.ids
    at = run.prompt + 2
    asked = event(run="0" * 32, text=kept(run), at=at, token=run.ids[at], off=[])
    list(handlers.rewrite(NOBODY, asked))
    # The token that stood there: the original, to the bit.
    assert now(handlers).branch
    assert now(handlers).ids == run.ids


@pytest.mark.parametrize("text", [None, 7, {}, {"tokens": "x"}, {"size": "tiny", "tokens": [3]}])
def test_what_nobody_knows_gets_a_sentence(handlers: Handlers, text: object) -> None:
    said, *_ = handlers.show(NOBODY, event(run="none", text=text))
    assert "no longer on the server" in said["note"]
    assert "no longer on the server" in handlers.beside(event(texts=[{"text": text}]))["note"]


def test_branches_stand_beside_each_other(handlers: Handlers) -> None:
    run = a_text(handlers)
    value: Value = handlers.beside(
        event(
            texts=[
                {"name": "original", "run": run.id, "text": kept(run)},
                {"name": "“a” at 5", "run": None, "text": kept(run, 6)},
            ]
        )
    )
    assert [column["title"] for column in value["columns"]] == ["original", "“a” at 5"]
    assert {column["from"] for column in value["columns"]} == {run.prompt}
    logs = [handlers.kept(value["updates"][at]["output"]["run"]) for at in "01"]
    assert [log.ids for log in logs if log] == [run.ids, run.ids[:6]]
    assert logs[0] is run


@pytest.mark.parametrize("texts", [None, "x", [], [{}] * 5, ["x"], [None]])
def test_columns_of_junk_are_refused(handlers: Handlers, texts: object) -> None:
    assert handlers.beside(event(texts=texts))["note"]
