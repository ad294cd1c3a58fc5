"""The line under Generate: what goes on, and how far. Drawn by assets/panel/text/run_note.js."""

from __future__ import annotations

from typing import Any

from gpt2.ui.page.assets import panel_text
from gpt2.ui.page.panel_view import PanelView


class RunNote(PanelView):
    """Takes no values: the Output panel, which hears of the run, puts its sentence here."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(
            "run_note.js", panel_text("run_note.html"), panel_text("run_note.css"), **kwargs
        )
