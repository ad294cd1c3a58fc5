"""The benchmark's own arithmetic and pictures, and one small measurement from end to end."""

from __future__ import annotations

import json
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from gpt2 import __main__ as command_line
from gpt2.bench.measure import Result, weights_of
from gpt2.bench.plot import as_svg
from gpt2.bench.report import as_json, as_table
from gpt2.checkpoint import load_model
from gpt2.config import SIZES

RESULTS = [
    Result("small", "float32", "random", 124_000_000, 496_000_000, 2, 0.5, 5e8, 6e8,
           {32: 90.0, 384: 80.0}, {32: 0.03, 384: 0.2}, 76.0, 100.0),
    Result("small", "int8", "random", 124_000_000, 124_000_000, 2, 0.4, 1.4e8, 3e8,
           {32: 300.0, 384: 240.0}, {32: 0.02, 384: 0.1}, 239.0, 400.0),
    Result("xl", "int8", "random", 1_557_000_000, 1_557_000_000, 2, 2.0, 1.7e9, 2e9,
           {32: 30.0}, {32: 0.2}, 29.0, 33.0),
]  # fmt: skip


def test_the_table_has_a_line_for_each_and_a_dash_for_what_was_not_measured() -> None:
    head, _, *lines = as_table(RESULTS).splitlines()
    assert head.count("|") == lines[0].count("|") == lines[2].count("|")
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines]
    assert [row[:2] for row in cells] == [[r.size, r.precision] for r in RESULTS]
    assert cells[0][2:5] == ["90.0", "80.0", "90 %"]
    assert cells[2][2:4] == ["30.0", "-"]
    assert "0.95" in cells[0]  # attention on against off, at the longest prompt


def test_the_plot_has_every_point_and_a_floor_for_every_precision() -> None:
    root = ET.fromstring(as_svg(RESULTS, "Speed against size"))
    named = "{http://www.w3.org/2000/svg}"
    points = [p.find(named + "title") for p in root.iter(named + "path")]
    assert [t.text for t in points if t is not None] == [
        "small float32: 90.0 tokens/s",
        "small int8: 300.0 tokens/s",
        "xl int8: 30.0 tokens/s",
    ]
    assert len(list(root.iter(named + "polyline"))) == 4
    for line in root.iter(named + "polyline"):
        for pair in line.attrib["points"].split():
            x, y = map(float, pair.split(","))
            assert 0 < x < 640
            assert 0 < y < 400
    assert {p.attrib["fill"] for p in root.iter(named + "path") if "transform" in p.attrib} == {
        "#5c5d66",
        "#0a6490",
    }


def test_json_has_the_machine_and_every_number() -> None:
    found = json.loads(as_json(RESULTS))
    assert "torch" in found["machine"]
    assert found["results"][1]["decode"] == {"32": 300.0, "384": 240.0}


def test_weights_are_the_size_s_own_or_random_in_its_shape() -> None:
    with weights_of("tiny", random=False) as (folder, kind):
        assert (folder.name, kind) == ("tiny", "its own")
    with weights_of("tiny", random=True) as (folder, kind):
        assert kind == "random"
        assert load_model(folder).config.num_blocks == SIZES["tiny"].config.num_blocks
    assert not folder.exists()


def test_tiny_is_measured_in_a_process_of_its_own(tmp_path: Path) -> None:
    command = ["bench", "--sizes", "tiny", "--precisions", "float32", "--prompts", "4"]
    files = ["--json", str(tmp_path / "b.json"), "--plot", str(tmp_path / "b.svg")]
    run = subprocess.run(
        [sys.executable, "-m", "gpt2", *command, "--new-tokens", "4", "--rounds", "1", *files],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "| tiny | float32 |" in run.stdout
    (result,) = json.loads((tmp_path / "b.json").read_text())["results"]
    assert result["decode"]["4"] > 0
    assert result["floor"] > 0  # of memory: what a cache holds is read sooner
    assert result["peak"] >= result["resident"] > result["weight_bytes"] / 2
    ET.parse(tmp_path / "b.svg")


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (["--new-tokens", "1"], "--new-tokens must be 2 or more"),
        (["--prompts", "0"], "--prompts must be 1 or more"),
        (["--sizes", "owner/model"], "owner/model is not here"),
        (["--prompts", "600"], "tiny reads 512 tokens"),
    ],
)
def test_what_cannot_be_measured_is_said(
    wrong: list[str],
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "argv", ["gpt2", "bench", "--sizes", "tiny", *wrong])
    assert command_line.main() == 2
    assert said in capsys.readouterr().err
