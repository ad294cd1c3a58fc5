"""What other settings would have made of a text, as the page asks: the engine's own answer."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gpt2 import SamplingOptions
from gpt2.sampling import choose
from gpt2.ui.session.flip_requests import FlipRequests
from gpt2.ui.session.frames import Value
from gpt2.ui.session.run_log import RunLog
from gpt2.ui.session.wire import wire_tokens
from tests.small import small_engine

OPTIONS = SamplingOptions(0.85, 0, 0.9, seed=4)
ENGINE = small_engine()
PROMPT = [1, 2, 3]
SETTINGS = {"temperature": 0.85, "top_k": 0, "top_p": 0.9}


def a_run(off: tuple[tuple[int, int], ...] = ()) -> RunLog:
    ids = [*PROMPT, *ENGINE.generate_ids(PROMPT, 25, OPTIONS, off=off)]
    config = ENGINE.config
    return RunLog(
        "tiny",
        OPTIONS,
        ids,
        3,
        config.num_blocks,
        config.num_heads,
        off=off,
        tokenizer=ENGINE.tokenizer,
        context=config.max_seq_len,
    )


def flips(run: RunLog, **changed: object) -> Value:
    return FlipRequests().flips(ENGINE, run, {**SETTINGS, **changed})


@pytest.mark.parametrize("off", [(), ((0, 1), (1, 0))])
def test_as_it_was_written_nothing_is_marked(off: tuple[tuple[int, int], ...]) -> None:
    assert flips(a_run(off)) == {"fixed": [], "flips": []}


@pytest.mark.parametrize(
    "changed", [{"temperature": 1.6}, {"temperature": 0}, {"top_k": 2}, {"top_p": 0.3}]
)
def test_marks_are_the_engine_s_flips(changed: dict[str, Any]) -> None:
    run = a_run()
    expected = ENGINE.flips(run.ids, 3, replace(OPTIONS, **changed))
    found = flips(run, **changed)["flips"]
    assert [(each["at"], each["certain"]) for each in found] == [
        (flip.place, flip.certain) for flip in expected
    ]
    tokens = wire_tokens(ENGINE.tokenizer, [flip.instead for flip in expected])
    assert [each["instead"] for each in found] == tokens


def test_a_token_that_was_put_there_is_left_out() -> None:
    run = a_run()
    ids = [*run.ids[:10], (run.ids[10] + 1) % 50, *run.ids[11:12]]
    ids += ENGINE.generate_ids(ids, 10, OPTIONS)
    forked = a_run()
    forked.ids = ids
    found = flips(forked)
    assert 10 in found["fixed"]
    assert found["flips"] == []
    hot = flips(forked, temperature=1.8)["flips"]
    assert hot and not {each["at"] for each in hot} & set(found["fixed"])


def test_a_slider_that_moves_reads_the_text_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked, run = FlipRequests(), a_run()
    read: list[int] = []
    made = type(ENGINE).drawn_from

    def counted(engine: Any, *arguments: Any) -> Any:
        read.append(1)
        return made(engine, *arguments)

    monkeypatch.setattr(type(ENGINE), "drawn_from", counted)
    for temperature in (0.2, 0.4, 0.6):
        asked.flips(ENGINE, run, SETTINGS | {"temperature": temperature})
    asked.stays(ENGINE, run, {"at": 7})
    assert len(read) == 1
    run.ids.append(5)  # it goes on
    asked.flips(ENGINE, run, SETTINGS)
    assert len(read) == 2
    small = FlipRequests(most_bytes=10)
    for _ in range(2):
        small.flips(ENGINE, run, SETTINGS)
    assert len(read) == 4
    assert small._known == {}


def test_the_temperatures_told_are_where_the_draw_changes() -> None:
    run, asked = a_run(), FlipRequests()
    logits = dict(ENGINE.drawn_from(run.ids, 3))
    sides = 0
    for at in range(3, len(run.ids)):
        found = asked.stays(ENGINE, run, {"at": at})
        assert (found["at"], found["drawn"]) == (at, True)
        for side, sign in ((found["below"], -1), (found["above"], 1)):
            if side is None or not 0.01 < side["temperature"] < 1.99:
                continue
            sides += 1
            there = side["temperature"] + 1e-4 * sign
            drawn = choose(logits[at], replace(OPTIONS, temperature=there), at)
            assert drawn != run.ids[at]
    assert sides > 5


@pytest.mark.parametrize("at", [0, 2])
def test_the_prompt_was_not_drawn(at: int) -> None:
    found = FlipRequests().stays(ENGINE, a_run(), {"at": at})
    assert found == {"at": at, "drawn": False, "below": None, "above": None}


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"temperature": 3}, "from 0 to 2"),
        ({"temperature": None}, "Temperature must be a number"),
        ({"top_k": 0.5}, "Top-k must be a whole number"),
        ({"top_p": 0}, "Top-p must be"),
    ],
)
def test_settings_that_cannot_be_are_refused(changed: dict[str, object], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        flips(a_run(), **changed)
