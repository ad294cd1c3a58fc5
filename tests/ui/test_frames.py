"""From events to messages: however grouped, the browser ends with the same text and map."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpt2 import SamplingOptions
from gpt2.checkpoint import Progress
from gpt2.engine import Event
from gpt2.levels import to_levels
from gpt2.ui.atlas import packed_rows
from gpt2.ui.frames import Frames, Value, finish_sentence, loading_sentence, note
from gpt2.ui.runs import Run
from gpt2.ui.wire import wire_tokens
from tests.examples import examples
from tests.small import CONFIG, small_engine

ENGINE = small_engine()
PROMPT = ENGINE.encode("It was late, and the fox was not at home. " * 8)
WARM = SamplingOptions(seed=3)
HEADS, LAYERS = CONFIG.num_heads, CONFIG.num_blocks


def new_run(layer: int = 1, ids: Sequence[int] = PROMPT) -> Run:
    return Run("tiny", WARM, list(ids), len(ids), LAYERS, HEADS, layer)


def frames_of(run: Run, limit: int = 12) -> Frames:
    return Frames(run, ENGINE.tokenizer, "Tiny", CONFIG.max_seq_len, limit)


EVENTS = list(ENGINE.stream(PROMPT, WARM, 12, attention=range(LAYERS)))
ALL_IDS = PROMPT + [event.token for event in EVENTS if event.token is not None]


class Browser:
    """Keeps what arrived, as assets/panel/runs.js does: tokens and rows by their place."""

    def __init__(self) -> None:
        self.tokens: dict[int, object] = {}
        self.rows: dict[tuple[int, int], bytes] = {}  # (layer, row): head 0's bytes
        self.atlas = b""

    def take(self, output: Value, attention: Value) -> None:
        for place, token in enumerate(output["tokens"], output["start"]):
            self.tokens.setdefault(place, token)
        assert len(self.tokens) == output["n"]
        packed = base64.b64decode(attention["rows"])
        row, at, layer = attention["start"], 0, attention["view"]["layer"]
        while at < len(packed):
            assert (layer, row) not in self.rows, "sent twice"
            self.rows[layer, row] = packed[at : at + row + 1]
            row, at = row + 1, at + row + 1
        assert at == len(packed)
        assert row == attention["n"]
        self.atlas += base64.b64decode(attention.get("atlas", ""))

    def map_of(self, layer: int) -> dict[int, bytes]:
        return {row: data for (at, row), data in self.rows.items() if at == layer}


def true_rows(ids: Sequence[int], layer: int) -> list[bytes]:
    rows = ENGINE.attention_rows(ids, layer)[0]
    return [to_levels(rows[i, : i + 1]).tobytes() for i in range(len(ids))]


TRUE_ROWS = [true_rows(ALL_IDS[:-1], layer) for layer in range(LAYERS)]


def assert_close(found: dict[int, bytes], expected: list[bytes]) -> None:
    for row, data in found.items():
        near = np.frombuffer(data, np.uint8).astype(int) - np.frombuffer(expected[row], np.uint8)
        assert abs(near).max() <= 1


@st.composite
def groupings(draw: st.DrawFn) -> list[list[Event]]:
    cuts = sorted(draw(st.sets(st.integers(1, len(EVENTS) - 1))))
    return [EVENTS[a:b] for a, b in zip([0, *cuts], [*cuts, len(EVENTS)], strict=True)]


@examples(60)
@given(groups=groupings())
def test_any_grouping_brings_the_same_tokens_and_rows(groups: list[list[Event]]) -> None:
    run, browser = new_run(), Browser()
    frames = frames_of(run)
    for group in groups:
        output, attention = frames.frame(group)
        browser.take(output, attention)
        assert attention["n"] == run.read
    assert run.ids == ALL_IDS
    assert list(browser.tokens.values()) == wire_tokens(ENGINE.tokenizer, ALL_IDS)
    assert sorted(browser.map_of(1)) == list(range(len(ALL_IDS) - 1))
    assert_close(browser.map_of(1), TRUE_ROWS[1])
    rows = run.capture.rows(0, run.read) or []
    assert browser.atlas == packed_rows(rows, attention["bins"])


def test_the_newest_token_has_no_row_yet() -> None:
    run = new_run()
    frames = frames_of(run)
    for event in EVENTS:
        output, attention = frames.frame([event])
        if event.token is not None:
            assert (output["n"], attention["n"]) == (len(run.ids), len(run.ids) - 1)


@examples(60)
@given(groups=groupings(), choices=st.lists(st.integers(0, LAYERS - 1), min_size=14, max_size=14))
def test_a_layer_change_never_mislabels_a_row(
    groups: list[list[Event]], choices: list[int]
) -> None:
    """The browser changes the layer at any moment; a message is of one layer."""
    run, browser = new_run(), Browser()
    frames = frames_of(run)
    for group, choice in zip(groups, choices, strict=False):
        run.layer = choice
        output, attention = frames.frame(group)
        assert attention["view"]["layer"] == choice
        before = len(browser.rows)
        browser.take(output, attention)
        assert len(browser.rows) - before == sum(event.fed for event in group)
    for layer in range(LAYERS):
        assert_close(browser.map_of(layer), TRUE_ROWS[layer])


def test_a_layer_change_in_the_middle_of_a_message_holds_for_all_of_it() -> None:
    run = new_run(layer=1)

    class Changing(list[Event]):
        def __iter__(self) -> Iterator[Event]:
            yield from super().__iter__()
            run.layer = 0

    _, attention = frames_of(run).frame(Changing(EVENTS[:1]))
    assert attention["view"]["layer"] == 0
    assert base64.b64decode(attention["rows"])[:6] == b"".join(TRUE_ROWS[0][:3])


def test_who_does_not_look_is_sent_no_rows() -> None:
    run, unwatched = new_run(), new_run()
    run.atlas, unwatched.watched = False, False
    _, attention = frames_of(run).frame(EVENTS)
    assert attention["rows"]
    assert "atlas" not in attention
    _, attention = frames_of(unwatched).frame(EVENTS)
    assert (attention["rows"], attention["n"]) == ("", unwatched.read)
    assert list(unwatched.wanted()) == []


def test_going_on_sends_only_rows_that_are_new() -> None:
    run, browser = new_run(), Browser()
    browser.take(*frames_of(run).frame(EVENTS))
    read = run.read
    again = list(ENGINE.stream(run.ids, WARM, 7, attention=range(LAYERS)))
    frames = frames_of(run, limit=7)
    starts = []
    for event in again:
        output, attention = frames.frame([event])
        starts.append(attention["start"])
        browser.take(output, attention)
    assert min(starts) >= read
    assert sorted(browser.map_of(1)) == list(range(len(run.ids) - 1))
    assert_close(browser.map_of(1), true_rows(run.ids[:-1], 1))
    assert output["stats"]["new"] == 7
    assert output["prompt"] == len(PROMPT)


def test_numbers_of_the_output() -> None:
    run = new_run()
    frames = frames_of(run, limit=12)
    output, _ = frames.frame(EVENTS[:2])
    assert (output["run"], output["start"], output["state"], output["note"]) == (
        run.id, 0, "running", "",
    )  # fmt: skip
    later, attention = frames.frame(EVENTS[2:])
    assert later["start"] == output["n"]
    assert later["state"] == "done"
    first = next(event.seconds for event in EVENTS if event.token is not None)
    assert later["stats"] == {
        "new": 12, "limit": 12, "speed": EVENTS[-1].tokens_per_second, "first": first, "seed": "3",
    }  # fmt: skip
    assert (attention["layers"], attention["heads"], attention["example"]) == (2, 3, False)


@pytest.mark.parametrize(
    ("finish", "state", "words"),
    [
        ("tokens", "done", ""),
        ("stopped", "stopped", ""),
        ("end of text", "done", "Tiny ended the text here."),
        ("context", "done", "The context is full: Tiny reads 320 tokens at most. The text is kept"),
    ],
)
def test_the_end_is_explained_where_the_numbers_do_not(finish, state: str, words: str) -> None:
    run = new_run()
    output, attention = frames_of(run).frame([Event(None, 0, "", {}, 1.0, None, finish)])
    assert output["state"] == state
    assert output["note"].startswith(words)
    assert bool(output["note"]) == bool(words)
    assert attention["rows"] == ""
    assert finish_sentence(finish, "Tiny", 320) == output["note"]


def test_a_broken_run_keeps_its_text() -> None:
    run = new_run()
    frames = frames_of(run)
    frames.frame(EVENTS[:3])
    output = frames.failed("It broke.")
    assert (output["state"], output["note"], output["n"]) == ("error", "It broke.", len(run.ids))
    assert output["tokens"] == []


def test_a_note_touches_no_text() -> None:
    assert note("waiting", "Wait.") == {"run": None, "state": "waiting", "note": "Wait."}


def test_a_download_says_of_which_size_it_is() -> None:
    sentence = loading_sentence("Small", Progress(10**9, 2 * 10**9, 12.34e6, 81.0))
    assert sentence == "Small: 1,000 of 2,000 MB, 12.3 MB/s, 81 s left"
