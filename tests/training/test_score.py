"""python -m gpt2.training.score: which documents it reads, in which precision."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from gpt2.loading import load
from gpt2.training import score
from gpt2.training.evaluation import bits_per_byte

DOCUMENTS = ["The fox ran.", "A bear slept in the wood.", "Once upon a time it rained."]


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    text = "".join(f"{document}\n<|endoftext|>\n" for document in DOCUMENTS)
    (tmp_path / "valid.txt.gz").write_bytes(gzip.compress(text.encode()))
    return tmp_path


def printed(monkeypatch, capsys, corpus: Path, *words: str) -> str:
    monkeypatch.setattr("sys.argv", ["score", "--corpus", str(corpus), *words])
    score.main()
    out: str = capsys.readouterr().out
    return out


@pytest.mark.parametrize(("numbers", "wanted"), [("1,3", [0, 2]), ("2", [1]), ("", [0, 1, 2])])
def test_documents_are_numbered_from_1(
    numbers: str, wanted: list[int], corpus: Path, monkeypatch, capsys
) -> None:
    documents = [DOCUMENTS[n] for n in wanted]
    engine = load("tiny")
    expected = bits_per_byte(engine.model, engine.tokenizer, documents)
    size = sum(map(len, documents))
    out = printed(monkeypatch, capsys, corpus, "--documents", numbers)
    assert out == f"tiny: {expected:.4f} bits per byte ({len(documents)} documents, {size} bytes)\n"


@pytest.mark.parametrize("number", ["0", "4", "-1"])
def test_a_document_that_is_not_there_is_refused(
    number: str, corpus: Path, monkeypatch, capsys
) -> None:
    with pytest.raises(SystemExit, match="2"):
        printed(monkeypatch, capsys, corpus, f"--documents={number}")
    assert "must be numbers from 1 to 3" in capsys.readouterr().err
