"""Importing the page writes nothing beside its source, also where Gradio was imported before."""

from __future__ import annotations

import subprocess
import sys

import pytest

NOTED = """
import sys
written = set()
def note(event, arguments):
    if event == "open" and str(arguments[0]).endswith(".pyi"):
        written.add(str(arguments[0]))
sys.addaudithook(note)
{first}
written.clear()
import gpt2.ui
assert not written, written
import gradio
assert gradio.HTML and gpt2.ui.build_page
"""


@pytest.mark.parametrize("first", ["", "import gradio"])
def test_no_stub_is_read_or_written(first: str) -> None:
    subprocess.run([sys.executable, "-c", NOTED.format(first=first)], check=True, timeout=60)
