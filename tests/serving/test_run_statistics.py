"""What is told about runs: right numbers, one line each, and never a word of a text."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from gpt2 import SamplingOptions
from gpt2.residency import OutOfMemory, Residency
from gpt2.serving.log import JsonLines, log_as_json
from gpt2.serving.metrics import Metrics
from gpt2.serving.run_statistics import RunStatistics
from gpt2.ui.session import run_log
from gpt2.ui.session.playground import Playground, Visitor
from gpt2.ui.session.requests import Request
from gpt2.ui.session.runner import Runner
from tests.small import Passes, small_engine, until
from tests.ui.writing import ended, outputs, until_writing

SECRET = "My password is fox"
WISH = Request(SECRET, "tiny", 12, SamplingOptions(seed=4))


def playground() -> Playground:
    return Playground(Runner(Residency(10**9, lambda *_: small_engine()), 2))


def lines(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    return [json.loads(JsonLines().format(record)) for record in caplog.records]


def test_a_run_is_counted_and_logged_without_its_text(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "gpt2")
    place = playground()
    outputs(place, place.generate(WISH, Visitor()))
    statistics = place.runner.statistics
    assert until(lambda: not statistics.entries)
    assert statistics.runs == {("tiny", "tokens"): 1}
    assert statistics.tokens["tiny"] == 12
    assert statistics.seconds["tiny"] > 0
    assert statistics.entries == []
    [line] = lines(caplog)
    assert (line["event"], line["size"], line["ended"], line["tokens"]) == (
        "run", "tiny", "tokens", 12,
    )  # fmt: skip
    assert 0 <= line["first_token_s"] <= line["writing_s"]
    assert "fox" not in json.dumps(line)


def test_who_leaves_is_counted_as_left(monkeypatch: pytest.MonkeyPatch) -> None:
    place = playground()
    frames = place.generate(Request(SECRET, "tiny", 250, SamplingOptions()), Visitor())
    log = until_writing(frames, place)
    assert place.runner.statistics.phases() == {
        "preparing": 0, "downloading": 0, "waiting": 0, "running": 1,
    }  # fmt: skip
    monkeypatch.setattr(run_log, "UNREAD", 0.0)
    ended(log)
    assert until(lambda: not place.runner.statistics.entries)
    assert place.runner.statistics.runs == {("tiny", "left"): 1}
    assert place.runner.statistics.phases()["running"] == 0


def test_an_error_is_counted_by_its_name_and_its_trace_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def break_down(number: int) -> None:
        raise RuntimeError("the model is broken")

    engine = small_engine()
    Passes(engine, break_down)
    place = Playground(Runner(Residency(10**9, lambda *_: engine), 2))
    outputs(place, place.generate(WISH, Visitor()))
    assert until(lambda: not place.runner.statistics.entries)
    assert place.runner.statistics.runs == {("tiny", "RuntimeError"): 1}
    [line] = [line for line in lines(caplog) if line["level"] == "error"]
    assert "the model is broken" in line["trace"]
    assert "password" not in json.dumps(line)


def test_a_refused_run_is_counted_too() -> None:
    place = Playground(Runner(Residency(10, lambda *_: small_engine()), 2))
    list(place.generate(WISH, Visitor()))
    assert place.runner.statistics.runs == {("tiny", OutOfMemory.__name__): 1}


def test_a_line_is_written_for_every_run_when_that_is_asked_for(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    logger = logging.getLogger("gpt2")
    for name in ("handlers", "level", "propagate"):
        monkeypatch.setattr(logger, name, getattr(logger, name))  # put back afterwards
    log_as_json()
    place = playground()
    outputs(place, place.generate(WISH, Visitor()))
    assert until(lambda: not place.runner.statistics.entries)
    line = json.loads(capsys.readouterr().err)
    assert (line["level"], line["event"], line["tokens"]) == ("info", "run", 12)


def test_prometheus_reads_the_numbers() -> None:
    statistics = RunStatistics()
    with statistics.entry("small") as entry:
        statistics.downloading(entry)
        statistics.downloading(entry)
        entry.start()
        entry.count()
        entry.ended = "stopped"
    metrics = Metrics(statistics, lambda: {"tiny": 9_000}, lambda: 3)
    with statistics.entry("tiny"):
        text = metrics.text().decode()
    read = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    assert read["gpt2_runs_total", "stopped", "small"] == 1
    assert read["gpt2_tokens_total", "small"] == 1
    assert read["gpt2_downloads_total", "small"] == 1
    assert read["gpt2_evictions_total",] == 3
    assert read["gpt2_requests", "preparing"] == 1
    assert read["gpt2_model_bytes", "tiny"] == 9_000
    assert read["process_resident_memory_bytes",] > 1e6
