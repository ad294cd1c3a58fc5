"""`python -m gpt2 replay`: what is said of a trace, and how it ends."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from gpt2 import SamplingOptions, load
from gpt2.checkpoint import find_source, weights_digest
from gpt2.cli import main
from gpt2.trace import Stretch, Trace

WARM = SamplingOptions(seed=3)


@pytest.fixture(scope="module")
def trace() -> Trace:
    """A text of the built-in model, as the page saves it."""
    engine, source = load("tiny"), find_source("tiny")
    assert source.folder
    ids = engine.encode("Once upon a time")
    ids_after = tuple(ids + engine.generate_ids(ids, 12, WARM))
    weights = weights_digest(source.folder)
    made = Stretch(len(ids), WARM, 12)
    shape = engine.config.num_blocks, engine.config.num_heads
    return Trace("tiny", weights, engine.precision, *shape, len(ids), (), (made,), ids_after)


def told(
    file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> tuple[int, str, str]:
    monkeypatch.setattr("sys.argv", ["gpt2", "replay", str(file)])
    try:
        code = main.main()
    except SystemExit as end:
        code = int(str(end.code))
    said = capsys.readouterr()
    return code, said.out, said.err


def test_what_is_the_same_is_said(
    trace: Trace,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    file = tmp_path / "text.trace"
    file.write_bytes(trace.packed())
    code, out, _ = told(file, capsys, monkeypatch)
    assert code == 0
    assert f"the same weights (sha256 {trace.weights[:12]}" in out
    assert f"Computed in {trace.precision}." in out
    assert "12 of 12 written tokens are the same." in out


def test_what_is_not_the_same_is_said_and_ends_in_1(
    trace: Trace,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    place = trace.prompt + 2
    ids = (*trace.ids[:place], 7, *trace.ids[place + 1 :])
    file = tmp_path / "text.trace"
    file.write_bytes(replace(trace, ids=ids, weights="0" * 64).packed())
    code, out, _ = told(file, capsys, monkeypatch)
    assert code == 1
    assert "OTHER weights: the trace was made with sha256 000000000000" in out
    assert f"the first other one is token {place}" in out


@pytest.mark.parametrize("data", [None, b"", b"hello"])
def test_a_file_that_is_none_gets_a_sentence(
    data: bytes | None,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    file = tmp_path / "text.trace"
    if data is not None:
        file.write_bytes(data)
    code, _, err = told(file, capsys, monkeypatch)
    assert code == 2
    assert ("cannot be read" if data is None else "This is no trace of this program") in err
