"""The README's Python runs as it stands there, block after block."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

README = Path(__file__).parents[1] / "README.md"
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def test_every_python_block_runs() -> None:
    if not README.exists():
        pytest.fail("README.md is not there")
    text = README.read_text("utf-8")
    blocks = list(BLOCK.finditer(text))
    assert blocks, "README.md shows no Python"
    names: dict[str, object] = {"__name__": "readme"}
    for block in blocks:
        code = block[1]
        assert ">>>" not in code, "plain code can be copied, a session cannot"
        # As many empty lines as stand before it, so that a traceback names the README's own line.
        lines_above = text[: block.start(1)].count("\n")
        exec(compile("\n" * lines_above + code, str(README), "exec"), names)
    assert any("assert " in block[1] for block in blocks), "the examples check nothing"


def test_the_newest_change_is_that_of_this_version() -> None:
    """Version, changes and README move together."""
    root = README.parent
    version = re.search(
        r'^version = "(.+)"$', (root / "pyproject.toml").read_text("utf-8"), re.MULTILINE
    )
    newest = re.search(
        r"^## (.+), (\d{4}-\d\d-\d\d)$", (root / "gpt2/CHANGES.md").read_text("utf-8"), re.MULTILINE
    )
    assert version
    assert newest
    assert newest[1] == version[1]
    assert f"Version {newest[1]} of {newest[2]}" in README.read_text("utf-8")


LINK = re.compile(r"\]\(([^)#][^)]*)\)")
COMMAND = re.compile(r"^python -m gpt2 (\w[\w-]*)", re.MULTILINE)


def test_links_lead_to_files_that_are_there() -> None:
    """In every README of the project, those that name no other host."""
    root = README.parent
    for readme in [README, *root.glob("gpt2/**/*.md"), *root.glob("tests/**/README.md")]:
        for target in LINK.findall(readme.read_text("utf-8")):
            if "://" not in target:
                assert (readme.parent / target.partition("#")[0]).exists(), (readme, target)


def test_its_commands_are_commands() -> None:
    help_ = subprocess.run(
        [sys.executable, "-m", "gpt2", "--help"], capture_output=True, text=True, check=True
    )
    named = set(COMMAND.findall(README.read_text("utf-8")))
    assert named >= {"generate", "compare"}
    assert all(re.search(rf"\b{name}\b", help_.stdout) for name in named)


def test_it_is_short_enough_to_be_read() -> None:
    text = README.read_text("utf-8").split("---\n", 2)[2]
    prose = re.sub(r"```.*?```|^\|.*$", "", text, flags=re.DOTALL | re.MULTILINE)
    assert len(prose.split()) < 700
