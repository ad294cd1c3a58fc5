"""python -m gpt2.training on a few kilobytes: text in, a model the engine loads out."""

from __future__ import annotations

import csv
import gzip
import json
import math
from dataclasses import replace
from pathlib import Path

import pytest

from gpt2.config import SIZES, GPT2Config
from gpt2.loading import load
from gpt2.training import __main__ as command
from gpt2.training.loop import Report
from tests.training.test_loop import DOCUMENTS

STEPS = 60
CONFIG = GPT2Config(300, 32, 2, 16, 2, 40, dropout_rate=0.0)


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    folder = tmp_path / "corpus"
    folder.mkdir()
    for name, documents in (
        ("train_level1", DOCUMENTS[:14]),
        ("train_level2", DOCUMENTS[14:28]),
        ("valid", DOCUMENTS[28:]),
    ):
        text = "".join(f"{document}\n<|endoftext|>\n" for document in documents)
        (folder / f"{name}.txt.gz").write_bytes(gzip.compress(text.encode()))
    return folder


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SIZES, "tiny", replace(SIZES["tiny"], config=CONFIG))


def train(monkeypatch: pytest.MonkeyPatch, corpus: Path, out: Path) -> None:
    words = f"--steps {STEPS} --batch 4 --rate 2e-2 --warm-up 5 --evaluate-every 10 --device cpu"
    folders = ["--corpus", str(corpus), "--out", str(out)]
    monkeypatch.setattr("sys.argv", ["training", *folders, *words.split()])
    command.main()


def curve(out: Path) -> list[tuple[int, float]]:
    """Step and validation, in bits per byte."""
    with (out / "curve.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    return [
        (int(row["step"]), float(row["validation_bits_per_byte"]))
        for row in rows
        if row["validation_bits_per_byte"]
    ]


def header_and_weights(out: Path) -> tuple[dict[str, object], bytes]:
    """safetensors writes the header's entries in any order."""
    data = (out / "model" / "model.safetensors").read_bytes()
    end = 8 + int.from_bytes(data[:8], "little")
    return json.loads(data[8:end]), data[end:]


def test_text_becomes_a_model_and_an_interruption_changes_no_bit_of_it(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    train(monkeypatch, corpus, whole)
    steps, scores = zip(*curve(whole), strict=True)
    assert steps == tuple(range(10, STEPS + 1, 10))
    assert scores[-1] < 0.7 * scores[0] < 0.7 * math.log2(300)
    assert load(str(whole / "model")).config == CONFIG

    report = command.Curve.report

    def killed(self: command.Curve, now: Report) -> None:
        if now.step == 27:
            raise KeyboardInterrupt
        report(self, now)

    with monkeypatch.context() as until_step_27, pytest.raises(KeyboardInterrupt):
        until_step_27.setattr(command.Curve, "report", killed)
        train(until_step_27, corpus, broken)
    assert not (broken / "model").exists()
    train(monkeypatch, corpus, broken)
    assert header_and_weights(broken) == header_and_weights(whole)
    assert curve(broken) == curve(whole)


def test_the_recipe_is_written_into_the_model(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(monkeypatch, corpus, tmp_path / "run")
    header, _ = header_and_weights(tmp_path / "run")
    recipe = header["__metadata__"]
    assert isinstance(recipe, dict)
    assert (recipe["seed"], recipe["steps"], recipe["repeats"]) == ("1", "60", "0.06")
    assert recipe["train"] == " ".join(command.MIX)
    assert recipe["versions"].startswith("torch ")
