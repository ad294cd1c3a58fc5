"""From events to messages: however grouped, the browser ends with the same text and map."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpt2 import SamplingOptions
from gpt2.checkpoint import Progress
from gpt2.engine import Event
from gpt2.ui.frames import Frames, Value, finish_sentence, loading_sentence, note
from gpt2.ui.runs import Run
from gpt2.ui.wire import pack_rows, wire_tokens
from tests.small import CONFIG, small_engine

ENGINE = small_engine()
PROMPT = ENGINE.encode("It was late, and the fox was not at home. " * 8)
WARM = SamplingOptions(seed=3)
HEADS, LAYERS = CONFIG.num_heads, CONFIG.num_blocks


def new_run(layer: int = 1, ids: Sequence[int] = PROMPT) -> Run:
    return Run("tiny", WARM, list(ids), len(ids), LAYERS, HEADS, layer)


def frames_of(run: Run, limit: int = 12) -> Frames:
    return Frames(run, ENGINE.tokenizer, "Tiny", CONFIG.max_seq_len, limit)


def events_of(ids: Sequence[int] = PROMPT, layers: Sequence[int] = (1,)) -> list[Event]:
    return list(ENGINE.stream(ids, WARM, 12, attention=layers))


EVENTS = events_of()
BOTH_LAYERS = events_of(layers=(0, 1))
ALL_IDS = PROMPT + [event.token for event in EVENTS if event.token is not None]


class Browser:
    """Keeps what arrived, as assets/panel/runs.js does: tokens and rows by their place."""

    def __init__(self) -> None:
        self.tokens: dict[int, object] = {}
        self.rows: dict[tuple[int, int], bytes] = {}
        self.last_row: dict[int, int] = {}

    def take(self, output: Value, attention: Value) -> None:
        for place, token in enumerate(output["tokens"], output["start"]):
            self.tokens.setdefault(place, token)
        assert len(self.tokens) == output["n"]
        packed = base64.b64decode(attention["rows"])
        row, at = attention["start"], 0
        while at < len(packed):
            end = at + HEADS * (row + 1)
            assert (attention["layer"], row) not in self.rows, "sent twice"
            self.rows[attention["layer"], row] = packed[at:end]
            row, at = row + 1, end
        assert at == len(packed)
        assert row <= attention["n"]

    def map_of(self, layer: int) -> dict[int, bytes]:
        return {row: data for (at, row), data in self.rows.items() if at == layer}


def true_rows(ids: Sequence[int], layer: int) -> list[bytes]:
    rows = ENGINE.attention_rows(ids, layer)
    return [pack_rows(rows[:, i : i + 1, : i + 1]) for i in range(len(ids))]


TRUE_ROWS = [true_rows(ALL_IDS[:-1], layer) for layer in range(LAYERS)]


def assert_close(found: dict[int, bytes], expected: list[bytes]) -> None:
    for row, data in found.items():
        near = np.frombuffer(data, np.uint8).astype(int) - np.frombuffer(expected[row], np.uint8)
        assert abs(near).max() <= 1


@st.composite
def groupings(draw: st.DrawFn) -> list[list[Event]]:
    cuts = sorted(draw(st.sets(st.integers(1, len(EVENTS) - 1))))
    return [EVENTS[a:b] for a, b in zip([0, *cuts], [*cuts, len(EVENTS)], strict=True)]


@settings(deadline=None, max_examples=60)
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


def test_the_newest_token_has_no_row_yet() -> None:
    run = new_run()
    frames = frames_of(run)
    for event in EVENTS:
        output, attention = frames.frame([event])
        if event.token is not None:
            assert (output["n"], attention["n"]) == (len(run.ids), len(run.ids) - 1)


@settings(deadline=None, max_examples=60)
@given(groups=groupings(), choices=st.lists(st.integers(0, LAYERS - 1), min_size=14, max_size=14))
def test_a_layer_change_never_mislabels_a_row(
    groups: list[list[Event]], choices: list[int]
) -> None:
    """The browser changes the layer between messages; the engine follows an event later."""
    run, browser, at = new_run(), Browser(), 0
    frames = frames_of(run)
    for group, choice in zip(groups, choices, strict=False):
        sent = []
        for event in BOTH_LAYERS[at : at + len(group)]:
            one = {run.layer: event.attention[run.layer]} if event.attention else {}
            sent.append(Event(event.token, event.fed, event.text, one, 0.1, None, event.finish))
        at += len(group)
        run.layer = choice
        output, attention = frames.frame(sent)
        assert attention["layer"] == choice
        before = len(browser.rows)
        browser.take(output, attention)
        assert len(browser.rows) - before <= sum(event.fed for event in group)
    for layer in range(LAYERS):
        assert_close(browser.map_of(layer), TRUE_ROWS[layer])


def test_a_layer_change_in_the_middle_of_a_message_waits_for_the_next() -> None:
    run = new_run(layer=1)

    def changing() -> Iterator[Event]:
        yield EVENTS[0]
        run.layer = 0

    _, attention = frames_of(run).frame(changing())
    assert attention["layer"] == 1
    rows = base64.b64decode(attention["rows"])
    assert rows == pack_rows(EVENTS[0].attention[1])


def test_going_on_sends_only_rows_that_are_new() -> None:
    run, browser = new_run(), Browser()
    browser.take(*frames_of(run).frame(EVENTS))
    read = run.read
    again = list(ENGINE.stream(run.ids, WARM, 7, attention=[1]))
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
        ("end of text", "done", "Tiny ended the text here itself."),
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


@pytest.mark.parametrize(
    ("progress", "sentence"),
    [
        (Progress(0, 548_000_000, 0, None), "Small: asking the hub."),
        (
            Progress(10**9, 2 * 10**9, 12.34e6, 81.0),
            "Small: 1,000 of 2,000 MB, 12.3 MB/s, 81 s left",
        ),
        (Progress(1, 2, 1e6, 600.0), "Small: 0 of 0 MB, 1.0 MB/s, 10 min left"),
    ],
)
def test_a_download_is_said_in_megabytes_and_time_left(progress: Progress, sentence: str) -> None:
    assert loading_sentence("Small", progress) == sentence
