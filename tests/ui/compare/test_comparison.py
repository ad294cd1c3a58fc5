"""Columns that advance together, start when they can, fail alone and stop at once."""

from __future__ import annotations

import copy
import threading
import time
from collections.abc import Callable, Generator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from gradio.utils import diff

from gpt2 import Engine, SamplingOptions
from gpt2.checkpoint import Cancelled, CheckpointError
from gpt2.residency import OutOfMemory, Residency
from gpt2.scoring import score
from gpt2.ui.compare import columns, facts
from gpt2.ui.compare.comparison import Comparison, Frame
from gpt2.ui.compare.wish import compared
from gpt2.ui.limits import Limits
from gpt2.ui.playground import Playground
from gpt2.ui.requests import Request
from gpt2.ui.runner import Runner
from tests.hub_standin import write_gpt2_folder
from tests.small import CONFIG, Passes, small_engine, until

PROMPT = "It was late, and the fox was not at home."
NAMES = ["tiny", "second"]


@pytest.fixture(autouse=True)
def second(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """A second model that needs no download; the loader of each test decides what it is."""
    write_gpt2_folder(tmp_path / "second", CONFIG)
    monkeypatch.setenv("GPT2_MODEL", str(tmp_path / "second"))
    return str(tmp_path / "second")


def wish(new_tokens: int = 10, prompt: str = PROMPT, sizes: object = NAMES) -> list[Request]:
    return compared(prompt, sizes, 1.0, new_tokens, 0, 1.0, 4)


def comparison_of(
    load: Callable[[str], Engine], budget: int = 10**9, most: int = 2, seconds: int = 60
) -> tuple[Comparison, Playground]:
    residency = Residency(budget, lambda name, _: load(name))
    playground = Playground(Runner(residency, most, Limits(seconds=seconds)))
    return Comparison(playground), playground


def shown(frames: list[Frame]) -> list[list[dict]]:
    """For each column, its outputs in order."""
    values = [value for value, _, _ in frames]
    return [
        [u["output"] for u in (v["updates"].get(str(at), {}) for v in values) if "output" in u]
        for at in range(len(values[0]["columns"]))
    ]


def test_every_column_writes_what_its_model_writes_alone() -> None:
    engine = small_engine()
    comparison, playground = comparison_of(lambda name: engine)
    frames = list(comparison.frames(wish(), threading.Event()))
    expected = engine.generate_ids(engine.encode(PROMPT), 10, SamplingOptions(seed=4))
    for outputs in shown(frames):
        run = playground.runs.get(outputs[-1]["run"])
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


def test_columns_take_turns_token_by_token() -> None:
    order: list[str] = []

    def load(name: str) -> Engine:
        engine = small_engine()
        Passes(engine, lambda number: order.append(name))
        return engine

    comparison, _ = comparison_of(load)
    list(comparison.records(wish(8, "")))
    first, other = order[:2]
    assert first != other
    assert order == [first, other] * 8


def test_a_record_for_every_step() -> None:
    engine = small_engine()
    comparison, _ = comparison_of(lambda name: engine)
    records = [r for r in comparison.records(wish(6)) if r["sizes"]]
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

    frames = list(comparison_of(load)[0].frames(wish(), threading.Event()))
    tiny, second = shown(frames)
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

    tiny, second = shown(list(comparison_of(load)[0].frames(wish(), threading.Event())))
    assert tiny[-1]["stats"]["new"] == 10
    assert second[-1]["state"] == "error"
    assert second[-1]["run"]
    tokens = {o["start"] + k for o in second if o["run"] for k in range(len(o["tokens"]))}
    assert tokens == set(range(len(small_engine().encode(PROMPT)) + 3))


def test_a_prompt_too_long_for_one_size_stops_that_one() -> None:
    long = "x" * 400  # 320 tokens at most in the second, 400 of 512 fit Tiny

    def load(name: str) -> Engine:
        return small_engine(replace(CONFIG, max_seq_len=512) if name == "tiny" else CONFIG)

    tiny, second = shown(list(comparison_of(load)[0].frames(wish(5, long), threading.Event())))
    assert tiny[-1]["state"] == "done"
    assert "this model reads at most" in second[-1]["note"]


def test_sizes_that_never_fit_are_refused_before_anything_is_loaded() -> None:
    loaded: list[str] = []
    comparison, _ = comparison_of(lambda name: loaded.append(name) or small_engine(), budget=1000)
    with pytest.raises(OutOfMemory, match="Choose fewer or smaller sizes"):
        next(comparison.frames(wish(), threading.Event()))
    assert loaded == []


def test_stop_ends_all_columns_within_a_token() -> None:
    engine = small_engine()
    passes = Passes(engine, lambda number: time.sleep(0.005))
    stop = threading.Event()
    frames = comparison_of(lambda name: engine)[0].frames(wish(250), stop)
    seen = [next(frames)]
    while passes.count < 20:
        seen.append(next(frames))
    stop.set()
    before = passes.count
    seen += frames
    assert passes.count <= before + 2
    assert [outputs[-1]["state"] for outputs in shown(seen)] == ["stopped", "stopped"]


def test_a_comparison_may_take_as_long_as_a_run_may() -> None:
    engine = small_engine()
    Passes(engine, lambda number: time.sleep(0.01))
    comparison, _ = comparison_of(lambda name: engine, seconds=1)
    for outputs in shown(list(comparison.frames(wish(300), threading.Event()))):
        assert outputs[-1]["state"] == "stopped"
        assert 0 < outputs[-1]["stats"]["new"] < 200
        assert outputs[-1]["note"].startswith("This took as long as one comparison may take")


def test_every_column_stands_in_the_journal() -> None:
    def load(name: str) -> Engine:
        if name != "tiny":
            raise CheckpointError("The hub did not answer.")
        return small_engine()

    comparison, playground = comparison_of(load)
    journal = playground.runner.journal
    frames = comparison.frames(wish(7), threading.Event())
    next(frames)
    assert [entry.size for entry in journal.entries] == NAMES
    list(frames)
    assert journal.entries == []
    assert journal.runs == {("tiny", "tokens"): 1, ("second", "CheckpointError"): 1}
    assert journal.tokens["tiny"] == 7


def test_a_size_that_arrives_late_knows_its_file(monkeypatch: pytest.MonkeyPatch) -> None:
    there = dict.fromkeys(NAMES)
    monkeypatch.setattr(columns, "file_bytes", lambda size: there[size])
    monkeypatch.setattr(facts, "file_bytes", lambda size: there[size])
    comparison, playground = comparison_of(lambda name: small_engine())
    monkeypatch.setattr(
        playground.runner, "download", lambda size, emit, stop: there.update({size: 1234})
    )
    figures = list(comparison.frames(wish(3), threading.Event()))[-1][2]
    assert figures
    assert [row["file"] for row in figures["rows"]] == [1234, 1234]


def test_closing_early_ends_the_run_too() -> None:
    engine = small_engine()
    passes = Passes(engine, lambda number: time.sleep(0.005))
    frames = comparison_of(lambda name: engine)[0].frames(wish(250), threading.Event())
    next(frames)
    assert until(lambda: passes.count > 4)
    assert isinstance(frames, Generator)
    frames.close()
    time.sleep(0.1)
    before = passes.count
    time.sleep(0.1)
    assert passes.count == before


def test_a_size_to_download_joins_when_it_is_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = small_engine()
    Passes(engine, lambda number: time.sleep(0.002))
    arrived = threading.Event()
    comparison, playground = comparison_of(lambda name: engine)
    runner = playground.runner
    monkeypatch.setattr(runner, "is_here", lambda size: size == "tiny")
    monkeypatch.setattr(
        runner, "download", lambda size, emit, stop: size == "tiny" or arrived.wait(10)
    )
    frames = comparison.frames(wish(150), threading.Event())
    seen = [next(frames)]
    while not any(o.get("stats", {}).get("new") for o in shown(seen)[0]):
        seen.append(next(frames))
    assert all(output["run"] is None for output in shown(seen)[1])
    arrived.set()
    seen += frames
    assert [outputs[-1]["stats"]["new"] for outputs in shown(seen)] == [150, 150]


def test_stop_while_all_is_still_loading(monkeypatch: pytest.MonkeyPatch) -> None:
    comparison, playground = comparison_of(lambda name: small_engine())
    monkeypatch.setattr(playground.runner, "is_here", lambda size: False)

    def download(size: str, emit: object, stop: threading.Event) -> None:
        stop.wait(10)
        raise Cancelled

    monkeypatch.setattr(playground.runner, "download", download)
    stop = threading.Event()
    frames = comparison.frames(wish(), stop)
    next(frames)
    stop.set()
    began = time.monotonic()
    with pytest.raises(Cancelled):
        list(frames)
    assert time.monotonic() - began < 5


def test_a_full_house_makes_it_wait_in_line() -> None:
    engine = small_engine()
    comparison, playground = comparison_of(lambda name: engine, most=1)
    ended = threading.Event()
    with playground.runner.turn(lambda news: None, ended):
        frames = comparison.frames(wish(), threading.Event())
        seen = [next(frames)]
        while "Waiting in line" not in str(shown(seen)[0][-1:]):
            seen.append(next(frames))
    seen += frames
    assert [outputs[-1]["stats"]["new"] for outputs in shown(seen)] == [10, 10]


def test_what_gradio_sends_of_two_frames_carries_all_of_the_second() -> None:
    """Its differences, applied as the browser applies them, for messages of one token and more."""
    engine = small_engine()
    Passes(engine, lambda number: time.sleep(0.004))
    frames = comparison_of(lambda name: engine)[0].frames(wish(120), threading.Event())
    values = []
    for value, _, _ in frames:
        values.append(value)
        time.sleep(0.03 if len(values) % 3 else 0)
    assert len(values) > 10
    for before, after in pairwise(values):
        assert applied(copy.deepcopy(before), diff(before, after)) == after


def applied(value: Any, edits: list[Any]) -> Any:
    for action, path, new in edits:
        if not path:
            value = new if action == "replace" else value + new
            continue
        parent = value
        for key in path[:-1]:
            parent = parent[key]
        key = path[-1]
        if action == "delete":
            del parent[key]
        elif action == "append":
            parent[key] += new
        elif action == "add" and isinstance(parent, list):
            parent.insert(key, new)
        else:
            parent[key] = new
    return value
