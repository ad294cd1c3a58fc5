"""The examples of gpt2/ui/CALLS.md, run as they stand there against a running page."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from gpt2 import load
from gpt2.sampling import USUAL

README = Path(__file__).parents[2] / "gpt2" / "ui" / "CALLS.md"
PROMPT = "Once upon a time"


def ran(kind: str, word: str, url: str, command: list[str]) -> str:
    """What the block with `word` in it prints."""
    blocks = re.findall(rf"^```{kind}\n(.*?)^```$", README.read_text("utf-8"), re.S | re.M)
    (block,) = [block for block in blocks if word in block]
    assert "http://127.0.0.1:7860" in block
    code = block.replace("http://127.0.0.1:7860", url.rstrip("/"))
    # What Gradio brings lies beside this Python.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        command, input=code, capture_output=True, text=True, timeout=60,
        env={**os.environ, "PATH": path, "NO_COLOR": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def text() -> str:
    return load("tiny").complete(PROMPT, replace(USUAL, seed=1), 20)


def test_curl(url: str) -> None:
    last = ran("sh", "curl", url, ["bash", "-eu"]).strip().rsplit("data: ", 1)[1]
    assert last == f'["{text()}"]'


def test_fetch(url: str) -> None:
    assert ran("js", "fetch", url, ["node", "--input-type=module"]) == f"{text()}\n"


def test_the_client_that_comes_with_gradio(url: str) -> None:
    assert '"bits_per_byte"' in ran("sh", "hf-gradio", url, ["bash", "-eu"]).replace("'", '"')
