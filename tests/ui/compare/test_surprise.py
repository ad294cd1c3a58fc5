"""The strip and the bars as the page gets them."""

from __future__ import annotations

import math
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from gpt2 import Engine, SamplingOptions, load
from gpt2.residency import Residency
from gpt2.scoring import score
from gpt2.ui.compare.surprise import Scoring
from gpt2.ui.session.runner import Runner
from tests.hub_standin import write_gpt2_folder
from tests.small import CONFIG
from tests.tokenizer.test_files import byte_level, train

TEXT = "The naïve fox 🦊 ran, and ran."
NAMES = ["tiny", "second"]


@pytest.fixture
def scoring(second_model: None) -> Scoring:
    return Scoring(Runner(Residency(10**9), 2))


@pytest.fixture(scope="module")
def tiny() -> Engine:
    return load("tiny")


def test_rows_sum_to_each_model_s_own_surprise(scoring: Scoring, tiny: Engine) -> None:
    *_, value = scoring.scores(TEXT, NAMES, threading.Event())
    assert "".join(text for text, _ in value["pieces"]) == TEXT
    for at, row in enumerate(value["rows"]):
        total = math.fsum(bits for _, each in value["pieces"] for bits in each[at])
        assert total == pytest.approx(row["bits"], abs=1e-4)
        assert row["bits_per_byte"] == row["bits"] / len(TEXT.encode())
    assert value["rows"][0]["bits"] == pytest.approx(score(tiny, TEXT).total_bits, abs=1e-4)
    tokens = [row["tokens"] for row in value["rows"]]
    assert tokens[1] > tokens[0] == len(tiny.encode(TEXT))


def test_a_text_too_long_for_one_size_is_still_scored_by_the_other(scoring: Scoring) -> None:
    *_, value = scoring.scores("the fox ran " * 100, NAMES, threading.Event())
    fine, failed = value["rows"]
    assert fine["bits"] > 0
    assert "this model reads at most 320" in failed["error"]
    assert len(value["pieces"][0][1]) == 1


def test_the_next_tokens_of_every_size(scoring: Scoring) -> None:
    options = SamplingOptions(temperature=0.5, top_k=5)
    *_, value = scoring.expected("Once upon a", NAMES, options, threading.Event())
    for size, width in zip(value["next"], (8192, CONFIG.vocab_size), strict=True):
        before = [entry[1] for entry in size["likeliest"]]
        assert before == sorted(before, reverse=True)
        assert len(before) == 10
        assert size["vocabulary"] == width
        assert size["kept"] == 5
        assert sum(entry[2] for entry in size["likeliest"]) == pytest.approx(1, abs=1e-9)
    assert value["next"][0]["likeliest"][0][0] == " time"


def test_what_is_wrong_with_a_size_does_not_come_as_a_path(
    scoring: Scoring, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def break_it(engine: Engine, text: str) -> None:
        raise RuntimeError("/secret/place")

    monkeypatch.setattr("gpt2.ui.compare.surprise.score", break_it)
    *_, value = scoring.scores(TEXT, ["tiny"], threading.Event())
    assert "Something went wrong" in value["rows"][0]["error"]
    assert "/secret/place" in caplog.text


@pytest.mark.parametrize("prefix", [False, True], ids=["", "a space before"])
def test_sizes_with_tokenizers_of_their_own_are_lined_up_by_characters(
    prefix: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = tmp_path / "spanish"
    train(folder, byte_level(add_prefix_space=prefix))
    write_gpt2_folder(folder, replace(CONFIG, vocab_size=768))
    monkeypatch.setenv("GPT2_MODEL", str(folder))
    scoring = Scoring(Runner(Residency(10**9), 2))
    text = "El niño comió piñas. 日本語 🤗!"
    *_, value = scoring.scores(text, ["tiny", "spanish"], threading.Event())
    assert not any("error" in row for row in value["rows"])
    assert "".join(piece for piece, _ in value["pieces"]) == text
    for column, row in enumerate(value["rows"]):
        bits = [sum(piece[1][column]) for piece in value["pieces"]]
        assert sum(bits) == pytest.approx(row["bits"], abs=1e-3)
    *_, value = scoring.expected(text, ["spanish"], SamplingOptions(), threading.Event())
    assert len(value["next"][0]["likeliest"]) == 10
    assert value["next"][0]["vocabulary"] < 768
