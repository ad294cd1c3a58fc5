"""A log: whatever is read at whatever moment, together it is the same text, rows and heads."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpt2 import SamplingOptions
from gpt2.engine import Event
from gpt2.interpret.atlas import packed_rows, pooled_map
from gpt2.interpret.row_codec import to_levels
from gpt2.sampling import GREEDY
from gpt2.ui.session import run_log
from gpt2.ui.session.attention_budget import SERVER_BUDGET
from gpt2.ui.session.frames import finish_sentence
from gpt2.ui.session.log_route import LogReader
from gpt2.ui.session.maps import MapView
from gpt2.ui.session.run_log import RunLog, RunLogs
from gpt2.ui.session.wire import Frame, Kind, TokenRecord, frames_in, tokens_in
from tests.examples import examples
from tests.small import CONFIG, small_engine

ENGINE = small_engine()
PROMPT = ENGINE.encode("It was late, and the fox was not at home. " * 8)
WARM = SamplingOptions(seed=3)
LAYERS, HEADS = CONFIG.num_blocks, CONFIG.num_heads
EVENTS = list(ENGINE.stream(PROMPT, WARM, 12, attention=range(LAYERS)))
ALL_IDS = PROMPT + [event.token for event in EVENTS if event.token is not None]
READ = len(ALL_IDS) - 1
VIEW = MapView(1, 2)


def log_of(ids: Sequence[int] = PROMPT) -> RunLog:
    return RunLog(
        "tiny",
        WARM,
        list(ids),
        len(ids),
        LAYERS,
        HEADS,
        tokenizer=ENGINE.tokenizer,
        context=CONFIG.max_seq_len,
    )


def true_rows(ids: Sequence[int], view: MapView) -> list[bytes]:
    rows = ENGINE.attention_rows(ids, view.layer)[view.head]
    return [to_levels(rows[i, : i + 1]).tobytes() for i in range(len(ids))]


class Browser:
    """Keeps what arrived, as assets/panel/store/text.js does: each place once and in order."""

    def __init__(self) -> None:
        self.tokens: list[TokenRecord] = []
        self.rows: list[bytes] = []
        self.heads = b""
        self.status: bytes = b""

    def take(self, frames: list[Frame]) -> None:
        for frame in frames:
            if frame.kind == Kind.TOKENS:
                assert frame.start == len(self.tokens)
                self.tokens += tokens_in(frame.payload)
                assert len(self.tokens) == frame.start + frame.count
            elif frame.kind == Kind.ROWS:
                assert frame.start == len(self.rows)
                at = 0
                for i in range(frame.start, frame.start + frame.count):
                    self.rows.append(frame.payload[at : at + i + 1])
                    at += i + 1
                assert at == len(frame.payload)
            elif frame.kind == Kind.HEADS:
                self.heads += frame.payload
            elif frame.kind == Kind.STATUS:
                self.status = frame.payload

    def reader(self, log: RunLog, index: int = 0) -> LogReader:
        """A reader who begins where this one is."""
        return LogReader(log, index, len(self.tokens), VIEW, len(self.rows), None)


@st.composite
def moments(draw: st.DrawFn) -> list[tuple[int, bool]]:
    """After how many events somebody reads, and whether he has come anew."""
    return draw(st.lists(st.tuples(st.integers(0, 4), st.booleans()), max_size=12))


@examples(80)
@given(moments=moments())
def test_reads_at_any_moments_add_up_to_the_same_log(moments: list[tuple[int, bool]]) -> None:
    log, browser, other = log_of(), Browser(), Browser()
    writer, left = object(), list(EVENTS)
    log.begin(writer, WARM, 12)
    reader = browser.reader(log)
    for count, anew in [*moments, (len(EVENTS), False)]:
        for event in left[:count]:
            assert log.put(writer, event)
        del left[:count]
        reader = browser.reader(log) if anew else reader
        data, missing = reader.next_frames()
        assert not missing
        browser.take(frames_in(data))
    data, _ = other.reader(log).next_frames()
    other.take(frames_in(data))
    assert browser.tokens == other.tokens
    assert browser.rows == other.rows
    assert browser.status == other.status
    assert [record.token for record in browser.tokens] == ALL_IDS == log.ids
    assert b"".join(r.data for r in browser.tokens) == b"".join(
        ENGINE.tokenizer.token_bytes(i) for i in ALL_IDS
    )
    assert len(browser.rows) == READ
    for row, expected in zip(browser.rows, true_rows(ALL_IDS[:-1], VIEW), strict=True):
        near = np.frombuffer(row, np.uint8).astype(int) - np.frombuffer(expected, np.uint8)
        assert abs(near).max() <= 1


@examples(20)
@given(moments=moments())
def test_all_heads_small_come_row_by_row_or_at_once(moments: list[tuple[int, bool]]) -> None:
    log, browser, writer = log_of(ALL_IDS[:20]), Browser(), object()
    ids = log.begin(writer, WARM, 12)
    reader = LogReader(log, 0, 0, None, 0, 0)
    events = iter(ENGINE.stream(ids, WARM, 12, attention=range(LAYERS)))
    for count, _ in [*moments, (99, False)]:
        for _, event in zip(range(count), events, strict=False):
            log.put(writer, event)
        browser.take(frames_in(reader.next_frames()[0]))
    rows = log.rows(0, log.read) or []
    assert browser.heads == packed_rows(rows, 32)
    late = LogReader(log, 0, 0, None, 0, 0)
    long = log_of(ALL_IDS)
    long.read = READ
    long.capture.rebuild(ENGINE, ALL_IDS[:-1])
    late = LogReader(long, 0, 0, None, 0, 0)
    [maps] = [f for f in frames_in(late.next_frames()[0]) if f.kind == Kind.MAPS]
    assert maps.count == READ
    assert len(maps.payload) == pooled_map(long.rows(0, READ) or [], 32).size // 2


def test_rows_that_nobody_watched_are_missed_and_not_made_up() -> None:
    log, writer = log_of(), object()
    ids = log.begin(writer, WARM, 3)
    for event in ENGINE.stream(ids, WARM, 3):
        log.put(writer, event)
    data, missing = LogReader(log, 0, 0, VIEW, 0, None).next_frames()
    assert missing
    assert [f.kind for f in frames_in(data)] == [Kind.SHAPE, Kind.TOKENS, Kind.STATUS]
    assert LogReader(log, 0, 0, None, 0, None).next_frames()[1] is False


def test_rows_are_watched_while_somebody_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    log = log_of()
    assert len(log.wanted()) == LAYERS  # nobody can have come yet
    monkeypatch.setattr(run_log, "_LINGER", -1.0)
    assert len(log.wanted()) == 0
    with log.reading(rows=True):
        assert len(log.wanted()) == LAYERS
    with log.reading():
        assert len(log.wanted()) == 0
    script = log_of()
    script.watched = False
    with script.reading(rows=True):
        assert len(script.wanted()) == 0


def test_a_log_that_nobody_reads_is_no_longer_written(monkeypatch: pytest.MonkeyPatch) -> None:
    log = log_of()
    assert not log.unread
    monkeypatch.setattr(run_log, "UNREAD", -1.0)
    assert log.unread
    with log.reading():
        assert not log.unread


def test_only_the_newest_writer_writes() -> None:
    log, older, newer = log_of(), object(), object()
    log.begin(older, WARM, 12)
    assert log.put(older, EVENTS[0])
    ids = log.begin(newer, WARM, 12)
    assert not log.put(older, EVENTS[1])
    log.fail(older, "It broke.")
    assert (log.ids, log.note, log.running) == (ids, "", True)


def test_going_on_brings_only_what_is_new() -> None:
    log, browser, writer = log_of(), Browser(), object()
    log.begin(writer, WARM, 12)
    for event in EVENTS:
        log.put(writer, event)
    browser.take(frames_in(browser.reader(log).next_frames()[0]))
    reader, again = browser.reader(log), object()
    ids = log.begin(again, WARM, 7)
    for event in ENGINE.stream(ids, WARM, 7, attention=range(LAYERS)):
        log.put(again, event)
        browser.take(frames_in(reader.next_frames()[0]))
    assert len(browser.rows) == len(log.ids) - 1
    _, status = log.snapshot()
    assert (status["stats"]["new"], status["prompt"], status["stretch"]) == (7, len(PROMPT), 2)


def test_what_is_said_besides() -> None:
    log, writer = log_of(), object()
    log.begin(writer, WARM, 12)
    for event in EVENTS[:-1]:
        log.put(writer, event)
    _, status = log.snapshot()
    assert (status["state"], status["note"], log.ids) == ("running", "", ALL_IDS)
    log.put(writer, EVENTS[-1])
    _, status = log.snapshot()
    first = next(event.seconds for event in EVENTS if event.token is not None)
    assert status["state"] == "done"
    assert status["stats"] == {
        "new": 12, "limit": 12, "speed": EVENTS[-1].tokens_per_second, "first": first, "seed": "3",
    }  # fmt: skip
    assert (status["n"], status["read"]) == (len(ALL_IDS), READ)


@pytest.mark.parametrize(
    ("finish", "state", "words"),
    [
        ("tokens", "done", ""),
        ("stopped", "stopped", ""),
        ("end of text", "done", "Tiny ended the text here."),
        ("context", "done", "The context is full: Tiny reads 320 tokens at most. The text is kept"),
        ("time", "stopped", "The time limit for one text is reached."),
    ],
)
def test_the_end_is_explained_where_the_numbers_do_not(finish, state: str, words: str) -> None:
    log, writer = log_of(), object()
    log.begin(writer, WARM, 12)
    log.put(writer, Event(None, 0, "", {}, 1.0, None, finish))
    assert (log.state, log.note) == (state, finish_sentence(finish, "Tiny", 320))
    assert log.note.startswith(words)
    assert bool(log.note) == bool(words)
    assert not log.running


def test_a_broken_run_keeps_its_text() -> None:
    log, writer = log_of(), object()
    log.begin(writer, WARM, 12)
    log.put(writer, EVENTS[0])
    log.put(writer, EVENTS[1])
    ids = list(log.ids)
    log.fail(writer, "It broke.")
    assert (log.state, log.note, log.ids) == ("error", "It broke.", ids)


def guessed(token: int, guess: int | None, speed_up: float | None = None) -> Event:
    return Event(token, 1, "", {}, 0.1, None, guess=guess, speed_up=speed_up)


def test_right_and_wrong_guesses_travel_with_their_tokens() -> None:
    log, writer = log_of([65, 66]), object()
    log.begin(writer, WARM, 10, "Distil")
    for event in (guessed(70, None), guessed(71, 71, 1.2), guessed(72, 80, 1.1)):
        log.put(writer, event)
    records = tokens_in(log.tokens(0, 5))
    other = ENGINE.tokenizer.token_bytes(80)
    assert [record.guess for record in records] == [None, None, None, True, (False, other)]
    assert [record.seconds for record in records] == pytest.approx([0, 0, 0.1, 0.1, 0.1])
    _, status = log.snapshot()
    assert status["draft"] == {"title": "Distil", "right": 1, "wrong": 1, "speed_up": 1.1}
    assert log_of().snapshot()[1]["draft"] is None


def test_a_reader_in_python_waits_for_news() -> None:
    log, writer = log_of(), object()
    log.begin(writer, WARM, 12)
    seen = log.version
    thread = threading.Timer(0.05, log.put, (writer, EVENTS[0]))
    thread.start()
    assert log.wait(seen, 10) > seen
    now = log.version
    began = time.monotonic()
    assert log.wait(now, 0.05) == now
    assert time.monotonic() - began >= 0.04
    thread.join()


# --- the store ----------------------------------------------------------------------------------


def test_ids_cannot_be_guessed_and_nobody_else_s_text_is_found() -> None:
    logs, one, other = RunLogs(), log_of(), log_of()
    logs.add(one)
    assert len(one.id) == 32
    assert int(one.id, 16) != int(other.id, 16)
    assert logs.get(one.id) is one
    for key in (other.id, one.id[:-1], "", None, 7, ["x"], {"run": one.id}):
        assert logs.get(key) is None


def test_the_least_recently_used_logs_are_dropped_by_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    logs = RunLogs(most_bytes=3 * log_of().size_bytes)
    kept = [log_of() for _ in range(3)]
    for log in kept:
        logs.add(log)
    assert logs.get(kept[0].id) is kept[0]
    log = log_of()
    log.capture.rebuild(ENGINE, PROMPT)
    before = SERVER_BUDGET.total
    kept[1].capture.rebuild(ENGINE, PROMPT)
    logs.add(log)
    assert logs.get(kept[1].id) is None
    assert SERVER_BUDGET.total <= before  # with it went its rows
    assert all(logs.get(each.id) for each in (kept[0], kept[2], log))


def test_a_log_that_is_written_is_not_dropped() -> None:
    logs, log = RunLogs(most_bytes=1), log_of()
    log.begin(object(), WARM, 3)
    logs.add(log)
    logs.add(log_of())
    assert logs.get(log.id) is log


def test_a_log_is_dropped_by_age() -> None:
    now = [0.0]
    logs = RunLogs(most_seconds=60, clock=lambda: now[0])
    log = RunLog("tiny", GREEDY, [1], 1, layers=2, heads=3)
    logs.add(log)
    now[0] = 59.0
    assert logs.get(log.id) is log
    now[0] = 120.0
    assert logs.get(log.id) is None
