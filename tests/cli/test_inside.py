"""python -m gpt2 tokens, lens, effects: the engine's own numbers, as a table and as JSON."""

from __future__ import annotations

import json
import sys

import pytest

from gpt2 import load
from gpt2.cli import main as command_line

TEXT = "Once upon a time, the"


def run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str
) -> tuple[int, str, str]:
    monkeypatch.setattr(sys, "argv", ["gpt2", *arguments])
    code = command_line.main()
    return code, *capsys.readouterr()


def test_tokens_are_told_line_by_line(monkeypatch, capsys) -> None:
    code, table, _ = run(monkeypatch, capsys, "tokens", TEXT, "--top-k", "1")
    found = load("tiny").probabilities(TEXT)
    assert code == 0
    lines = table.splitlines()
    assert len(lines) == len(found.ids) + 3
    assert lines[1].split()[:2] == ['"Once"', "7454"]
    assert f"{found.choices[0].probability:.4f}" in lines[1]
    assert "(removed by top-k)" in lines[1]
    assert lines[-2].split()[0] == "next"
    assert "after <|endoftext|>" in lines[-1]


def test_tokens_as_json_say_their_units(monkeypatch, capsys) -> None:
    _, out, _ = run(monkeypatch, capsys, "tokens", TEXT, "--json", "--no-start-token")
    found = json.loads(out)
    assert found["units"]["surprisal"].startswith("bits")
    assert found["start_token"] is False
    assert found["tokens"][0]["probability"] is None
    second = load("tiny").probabilities(TEXT, start_token=False).choices[1]
    assert found["tokens"][1]["probability"] == pytest.approx(second.probability, abs=1e-6)
    assert found["tokens"][1]["text"] == " upon"
    assert found["following"]["probability"] is None


def test_the_lens_is_told_stage_by_stage(monkeypatch, capsys) -> None:
    code, table, _ = run(monkeypatch, capsys, "lens", TEXT)
    assert code == 0
    assert table.splitlines()[0] == 'After " the" at 6:'
    assert len(table.splitlines()) == 2 + 13 + 1
    assert table.count("settled") == 1
    assert table.rstrip().endswith("arXiv 2303.08112).")
    _, out, _ = run(monkeypatch, capsys, "lens", TEXT, "--all", "--json")
    found = json.loads(out)
    assert len(found["positions"]) == 7
    assert len(found["stages"]) == len(found["positions"][0]["guess"]) == 13


def test_effects_are_told_with_their_control(monkeypatch, capsys) -> None:
    code, table, _ = run(monkeypatch, capsys, "effects", TEXT, "--against", " a")
    assert code == 0
    assert 'over " a" is' in table
    assert table.rstrip().endswith("replaced by themselves: 0.")
    arguments = ["effects", TEXT, "--json", "--instead", "mean", "--last"]
    found = json.loads(run(monkeypatch, capsys, *arguments)[1])
    assert (found["instead"], found["everywhere"], found["control"]) == ("mean", False, 0)
    assert len(found["logits"]) == 6
    assert found["against"] is None


def test_a_text_that_is_several_tokens_is_no_token(monkeypatch, capsys) -> None:
    code, _, error = run(monkeypatch, capsys, "effects", TEXT, "--token", "zebra")
    assert code == 2
    assert "tokens, not one" in error
