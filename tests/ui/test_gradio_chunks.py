"""Gradio's own table of what a component needs; where there is none, nothing is preloaded."""

from __future__ import annotations

from pathlib import Path

import pytest

from gpt2.ui import gradio_chunks
from gpt2.ui.gradio_chunks import chunks_of, scripts_of


def test_a_component_needs_its_own_script_and_what_that_imports() -> None:
    html, both = chunks_of(frozenset(["html"])), chunks_of(frozenset(["html", "textbox"]))
    assert any(name.startswith("HTML-") for name in html)
    assert set(html) < set(both)
    assert all((gradio_chunks._FOLDER / name).is_file() for name in both)


def test_a_page_asks_for_those_it_names() -> None:
    links = scripts_of(b'{"type": "html", "x": {"type":"nothing"}}').decode()
    assert links.count("modulepreload") == len(chunks_of(frozenset(["html"])))
    assert scripts_of(b"<html>") == b""


def test_another_table_than_is_known_preloads_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "core-x.js").write_text("nothing")
    monkeypatch.setattr(gradio_chunks, "_FOLDER", tmp_path)
    assert chunks_of.__wrapped__(frozenset(["html"])) == ()
