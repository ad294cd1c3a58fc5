"""What Gradio does while nobody asks is named as it was, and done less often."""

from __future__ import annotations

import sys
from importlib.util import find_spec

import gradio as gr
import pytest

from gpt2.ui.gradio_patches.polling import EVENTS, poll_slowly


def test_the_queue_is_looked_at_less_often() -> None:
    with gr.Blocks() as page:
        gr.Markdown("")
    page.queue()
    before = {name: value for name, value in vars(page._queue).items() if "sleep_when_free" in name}
    poll_slowly(page)
    after = {name: vars(page._queue)[name] for name in before}
    assert (
        set(vars(page._queue))
        >= set(before)
        == {
            "sleep_when_free",
            "progress_update_sleep_when_free",
        }
    )
    assert after["sleep_when_free"] == EVENTS > before["sleep_when_free"]
    assert after["progress_update_sleep_when_free"] > before["progress_update_sleep_when_free"]


def test_nobody_looks_for_matplotlib_where_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "matplotlib", raising=False)
    missing = find_spec("matplotlib") is None
    with gr.Blocks() as page:
        gr.Markdown("")
    page.queue()
    poll_slowly(page)
    assert ("matplotlib" in sys.modules) == missing
    if missing:
        monkeypatch.setattr(sys, "meta_path", [])  # looking anywhere would fail otherwise
        with pytest.raises(ModuleNotFoundError, match="halted; None"):
            __import__("matplotlib")
