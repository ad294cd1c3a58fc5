"""What a tab kept comes back whole; what a stranger made up comes back as nothing."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gpt2.sampling import SamplingOptions
from gpt2.tokenizer import END_OF_TEXT, Tokenizer
from gpt2.ui.page.restoring import _parsed
from gpt2.ui.session.kept_log import RELOADED, log_of
from gpt2.ui.session.wire import token_ids, wire_tokens

TINY = Tokenizer(8192)
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner),
    max_leaves=8,
)


def kept(**changed: object) -> dict[str, Any]:
    ids = [*TINY.encode("The fox 🦊 said"), TINY.end_of_text]
    tokens = wire_tokens(TINY, ids)
    text = {"size": "tiny", "prompt": 2, "state": "running", "seed": str(2**60), "tokens": tokens}
    return text | changed


@given(st.lists(st.integers(0, TINY.vocab_size - 1), max_size=40))
def test_ids_survive_the_way_there_and_back(ids: list[int]) -> None:
    assert token_ids(TINY, json.loads(json.dumps(wire_tokens(TINY, ids)))) == ids


@pytest.mark.parametrize(
    "token", [None, 7, [], {}, {"hex": "xy"}, {"hex": 7}, {"special": "x"}, "no such token", ""]
)
def test_what_is_no_token_is_refused(token: Any) -> None:
    with pytest.raises(ValueError):
        token_ids(TINY, [token])


def test_a_text_comes_back_to_be_read_and_continued() -> None:
    text, controls = _parsed(json.dumps({"text": kept(), "controls": ["a", "tiny"]}))
    run = log_of(text)
    assert run
    assert controls == ["a", "tiny"]
    assert run.options == SamplingOptions(seed=2**60)
    assert TINY.decode(run.ids) == "The fox 🦊 said" + END_OF_TEXT
    assert (run.prompt, run.read, run.layers) == (2, len(run.ids) - 1, 6)
    _, status = run.snapshot()
    assert (status["state"], status["note"]) == ("stopped", RELOADED)
    assert status["stats"]["new"] == len(run.ids) - 2
    assert not run.example


def test_a_text_comes_back_with_what_it_was_written_with() -> None:
    made = {"temperature": 0.7, "top_k": 40, "top_p": 0.9}
    run = log_of(_parsed(json.dumps({"text": kept(sampling=made, off=[[5, 1], [0, 2]])}))[0])
    assert run
    assert run.options == SamplingOptions(0.7, 40, 0.9, 2**60)
    assert run.off == ((0, 2), (5, 1))
    plain = log_of(_parsed(json.dumps({"text": kept(off=[[6, 0]])}))[0])
    assert plain
    assert plain.off == ()


def test_a_text_with_nul_comes_back() -> None:
    ids = TINY.encode("a\x00\x00b")
    run = log_of(_parsed(json.dumps({"text": kept(tokens=wire_tokens(TINY, ids))}))[0])
    assert run
    assert run.ids == ids


def test_half_an_emoji_that_was_kept_comes_back_readable() -> None:
    text, controls = _parsed(
        '{"text": {"state": "\\ud83e"}, "controls": ["\\udd8a", "nul \\u0000"]}'
    )
    assert (text, controls) == ({"state": "\ufffd"}, ["\ufffd", "nul \ufffd"])


@pytest.mark.parametrize(
    ("state", "shown"), [("done", "done"), ("error", "stopped"), (7, "stopped")]
)
def test_only_an_unfinished_text_is_called_so(state: object, shown: str) -> None:
    text = kept(state=state)
    run = log_of(text)
    assert run
    assert (run.state, run.note) == (shown, "")


@pytest.mark.parametrize(
    "changed",
    [
        {"size": "/etc"},
        {"size": None},
        {"prompt": 0},
        {"prompt": 1000},
        {"prompt": "1"},
        {"seed": "-1"},
        {"seed": None},
        {"seed": "nan"},
        {"tokens": None},
        {"tokens": []},
        {"tokens": ["no such token"]},
        {"tokens": {"0": "a"}},
    ],
)
def test_what_cannot_be_a_run_is_none(changed: dict[str, object]) -> None:
    assert log_of(kept(**changed)) is None


def test_no_run_is_longer_than_the_context() -> None:
    run = log_of(kept(tokens=["a"] * 100_000))
    assert run
    assert len(run.ids) == 512


@given(JSON, JSON)
@example(text=None, field=float("inf"))
@example(text=None, field=float("nan"))
def test_any_junk_is_read_without_an_error(text: Any, field: Any) -> None:
    assert _parsed(json.dumps({"text": text, "controls": field}))
    for name in ("size", "prompt", "state", "seed", "tokens"):
        log_of(kept(**{name: field}))
    log_of(text if isinstance(text, dict) else {})


@pytest.mark.parametrize("junk", [None, 3, "", "{", "[" * 100_000, "x" * 2_000_000, "7"])
def test_what_is_not_json_is_nothing(junk: object) -> None:
    assert _parsed(junk) == ({}, [])
