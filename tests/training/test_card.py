"""The measured part of a model card says what the model did, word for word and head for head."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gpt2.engine import Engine
from gpt2.head_probe import probe
from gpt2.loading import load
from gpt2.sampling import USUAL
from gpt2.training import card
from gpt2.training.card import Sample, behaviour, excerpts, heads, quoted, write_samples

PROMPTS = ("Once upon a time", '"Oh, look!" cried Alice, and')


@pytest.fixture(scope="module")
def engine() -> Engine:
    return load("tiny")


def test_samples_are_the_engine_s_own_texts(engine: Engine) -> None:
    prompts = PROMPTS[:5]
    samples = write_samples(engine, prompts, USUAL)
    assert [(s.prompt, s.seed) for s in samples] == [(p, s) for p in prompts for s in (1, 2, 3)]
    for sample in samples:
        assert sample.text == engine.complete(sample.prompt, replace(USUAL, seed=sample.seed), 100)
        assert engine.tokenizer.decode(sample.ids).removesuffix("<|endoftext|>") == sample.text


def test_excerpts_are_pieces_of_the_text_and_as_long_as_samples(engine: Engine) -> None:
    documents = ["The fox ran home. " * 300, "Too short."]
    pieces = excerpts(engine, documents)
    assert len(pieces) > 2
    assert {len(piece) for piece in pieces} == {100}
    assert all(engine.tokenizer.decode(piece).strip() in documents[0] for piece in pieces)


def test_the_table_counts_every_kind_of_text() -> None:
    texts = {"model": [[5] * 20, list(range(20))], "held-out text": [list(range(9))]}
    rows = behaviour(texts).splitlines()
    assert rows[2] == f"| model | 2 | {100 * (16 / 17) / 2:.2f} % | {(1 + 1 / 19) / 2:.3f} | 1 |"
    assert rows[3] == "| held-out text | 1 | 0.00 % | 1.000 | 0 |"


def test_every_head_is_listed_with_its_probe_s_scores(engine: Engine) -> None:
    rows = heads(engine).splitlines()[4:]
    roles = probe(engine)
    assert len(rows) == roles.induction.size
    for row, place in zip(rows, np.ndindex(roles.induction.shape), strict=True):
        cells = [cell.strip() for cell in row.strip("|").split("|")]
        assert cells[0] == f"{place[0] + 1}.{place[1] + 1}"
        assert float(cells[4]) == pytest.approx(roles.induction[place], abs=0.0051)


def test_a_quotation_keeps_its_lines() -> None:
    text = quoted([Sample("A fox", 3, ' ran.\n"Why?"\n', [])])
    assert text == '**A fox** · seed 3\n\n> A fox ran.  \n> "Why?"'


def test_the_command_prints_all_three_parts(tmp_path: Path, monkeypatch, capsys) -> None:
    (tmp_path / "valid.txt").write_text("The fox ran home. " * 300)
    monkeypatch.setattr(card, "PROMPTS", PROMPTS[:1])
    monkeypatch.setattr("sys.argv", ["card", "--corpus", str(tmp_path)])
    card.main()
    out = capsys.readouterr().out
    for part in (
        "| temperature 0.8 | 3 |",
        "(the defaults) | 3 |",
        "| held-out text |",
        "| 6.4 |",
        "> Once upon a time",
    ):
        assert part in out
