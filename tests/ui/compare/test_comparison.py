"""What the columns show, a size that fails alone, and what a script gets."""

from __future__ import annotations

import threading
from dataclasses import replace
from itertools import pairwise

import pytest

from gpt2 import Engine, SamplingOptions
from gpt2.checkpoint import CheckpointError
from gpt2.residency import OutOfMemory
from gpt2.scoring import score
from gpt2.ui.compare import columns, facts
from tests.small import CONFIG, Passes, slowly, small_engine

from .stage import NAMES, PROMPT, comparison_of, shown, wanted

pytestmark = pytest.mark.usefixtures("second_model")


def test_every_column_writes_what_its_model_writes_alone() -> None:
    engine = small_engine()
    comparison, playground = comparison_of(lambda name: engine)
    frames = list(comparison.frames(wanted(), threading.Event()))
    expected = engine.generate_ids(engine.encode(PROMPT), 10, SamplingOptions(seed=4))
    for outputs in shown(frames, playground):
        run = playground.logs.get(outputs[-1]["run"])
        assert run
        assert run.ids == engine.encode(PROMPT) + expected
        assert outputs[-1]["state"] == "done"
        assert outputs[-1]["stats"]["seed"] == "4"
    _, surprise, figures = frames[-1]
    assert surprise
    assert figures
    own = score(engine, PROMPT)
    for row, figure in zip(surprise["rows"], figures["rows"], strict=True):
        assert row["bits"] == pytest.approx(own.total_bits, abs=1e-6)
        assert figure["bits_per_byte"] == pytest.approx(own.bits_per_byte, abs=1e-9)
        assert figure["speed"] > 0
        assert figure["first"] > 0
    assert "".join(text for text, _ in surprise["pieces"]) == PROMPT


def test_what_is_written_is_no_message_of_gradio_s() -> None:
    """Which logs to read, the surprise and the figures; the text is in the logs."""
    engine = small_engine()
    Passes(engine, slowly(0.002))
    comparison, _ = comparison_of(lambda name: engine)
    frames = list(comparison.frames(wanted(100), threading.Event()))
    assert len(frames) < 12
    updates = [value["updates"] for value, _, _ in frames]
    assert all(set(update) == {"output"} for said in updates for update in said.values())
    # Each column's log is named once, and from then on in every message: one may be overtaken.
    assert set(updates[-1]) == {"0", "1"}
    assert all(set(said) <= set(later) for said, later in pairwise(updates))


def test_a_record_for_every_step() -> None:
    engine = small_engine()
    comparison, _ = comparison_of(lambda name: engine)
    records = [r for r in comparison.records(wanted(6)) if r["sizes"]]
    assert [r["step"] for r in records] == list(range(1, len(records) + 1))
    steps = [r["sizes"] for r in records if "token" in r["sizes"]["tiny"]]
    assert all(step["tiny"]["token"] == step["second"]["token"] for step in steps)
    assert [step["tiny"]["finish"] for step in steps][-1] == "tokens"


@pytest.mark.parametrize(
    ("trouble", "sentence"),
    [
        (CheckpointError("The hub did not answer."), "The hub did not answer."),
        (OutOfMemory("second needs 9.9 GB."), "second needs 9.9 GB."),
        (RuntimeError("a secret path"), "Something went wrong on the server."),
    ],
)
def test_a_size_that_fails_says_so_in_its_own_column(trouble: Exception, sentence: str) -> None:
    engine = small_engine()

    def load(name: str) -> Engine:
        if name != "tiny":
            raise trouble
        return engine

    comparison, playground = comparison_of(load)
    frames = list(comparison.frames(wanted(), threading.Event()))
    tiny, second = shown(frames, playground)
    assert (tiny[-1]["state"], tiny[-1]["stats"]["new"]) == ("done", 10)
    assert second[-1]["state"] == "error"
    assert second[-1]["note"].startswith(sentence)
    _, surprise, _ = frames[-1]
    assert surprise
    assert [row["size"] for row in surprise["rows"]] == ["tiny"]


def test_a_column_that_breaks_midway_keeps_its_text() -> None:
    def load(name: str) -> Engine:
        engine = small_engine()
        if name != "tiny":
            Passes(engine, lambda number: 1 / (4 - number))
        return engine

    comparison, playground = comparison_of(load)
    frames = list(comparison.frames(wanted(), threading.Event()))
    tiny, second = shown(frames, playground)
    assert tiny[-1]["stats"]["new"] == 10
    assert second[-1]["state"] == "error"
    assert second[-1]["run"]
    assert second[-1]["n"] == len(small_engine().encode(PROMPT)) + 3


def test_a_prompt_too_long_for_one_size_stops_that_one() -> None:
    long = "x" * 400  # 320 tokens at most in the second, 400 of 512 fit Tiny

    def load(name: str) -> Engine:
        return small_engine(replace(CONFIG, max_seq_len=512) if name == "tiny" else CONFIG)

    comparison, playground = comparison_of(load)
    frames = list(comparison.frames(wanted(5, long), threading.Event()))
    tiny, second = shown(frames, playground)
    assert tiny[-1]["state"] == "done"
    assert "this model reads at most" in second[-1]["note"]


def test_sizes_that_never_fit_are_refused_before_anything_is_loaded() -> None:
    loaded: list[str] = []
    comparison, _ = comparison_of(lambda name: loaded.append(name) or small_engine(), budget=1000)
    with pytest.raises(OutOfMemory, match="Choose fewer or smaller sizes"):
        next(comparison.frames(wanted(), threading.Event()))
    assert loaded == []


def test_every_column_stands_in_the_journal() -> None:
    def load(name: str) -> Engine:
        if name != "tiny":
            raise CheckpointError("The hub did not answer.")
        return small_engine()

    comparison, playground = comparison_of(load)
    statistics = playground.runner.statistics
    frames = comparison.frames(wanted(7), threading.Event())
    next(frames)
    assert [entry.size for entry in statistics.entries] == NAMES
    list(frames)
    assert statistics.entries == []
    assert statistics.runs == {("tiny", "tokens"): 1, ("second", "CheckpointError"): 1}
    assert statistics.tokens["tiny"] == 7


def test_a_size_that_arrives_late_knows_its_file(monkeypatch: pytest.MonkeyPatch) -> None:
    there = dict.fromkeys(NAMES)
    monkeypatch.setattr(columns, "file_bytes", lambda size: there[size])
    monkeypatch.setattr(facts, "file_bytes", lambda size: there[size])
    comparison, playground = comparison_of(lambda name: small_engine())
    monkeypatch.setattr(
        playground.runner, "download", lambda size, emit, stop: there.update({size: 1234})
    )
    figures = list(comparison.frames(wanted(3), threading.Event()))[-1][2]
    assert figures
    assert [row["file"] for row in figures["rows"]] == [1234, 1234]


def test_few_tokens_make_a_wide_range_of_the_speed() -> None:
    """Student's t: three gaps say far less than sixty with the same spread."""
    gaps = [0.09, 0.1, 0.11]
    few, many = columns.speed_error(gaps), columns.speed_error(gaps * 20)
    assert few is not None
    assert many is not None
    assert few == pytest.approx(4.30 * 0.01 / 3**0.5 / 0.01)
    assert many == pytest.approx(2.01 * 0.00824 / 60**0.5 / 0.01, rel=0.02)
    assert columns.speed_error(gaps[:2]) is None
