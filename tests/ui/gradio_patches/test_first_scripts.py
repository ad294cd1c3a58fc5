"""Our first scripts stand before all of Gradio's, after what their addresses are relative to."""

from __future__ import annotations

from pathlib import Path

import gradio

from gpt2.ui.gradio_patches.first_scripts import with_first_scripts
from gpt2.ui.page.assets import panel_files

GRADIO_S = Path(gradio.__file__).parent / "templates" / "frontend" / "index.html"


def test_they_come_before_gradio_s() -> None:
    page = with_first_scripts(GRADIO_S.read_bytes())
    places = [
        page.index(f"panel/{name}.js".encode()) for name in ("raf_throttle", "sse_keep_alive")
    ]
    assert page.index(b"<base ") < places[0] < places[1]
    assert page.count(b"<script", 0, places[1]) == 2


def test_they_are_there() -> None:
    for name in ("raf_throttle", "sse_keep_alive"):
        assert f"{name}.js" in panel_files()


def test_any_other_page_stays_as_it_is() -> None:
    for page in (b"", b"<html><head></head><script></script></html>"):
        assert with_first_scripts(page) == page
