"""The Output region: the text as it comes. Drawn by assets/panel/text/output_view.js."""

from __future__ import annotations

from typing import Any

from gpt2.ui.page.assets import panel_text
from gpt2.ui.page.panel_view import PanelView

_STYLES = ("output_view.css", "output_draft.css", "output_shade.css", "output_flips.css")


def template() -> str:
    """Its markup, for a page that shows more than one."""
    return panel_text("output_view.html")


def style() -> str:
    """Its style, which belongs inside an element of its own."""
    return "".join(map(panel_text, _STYLES))


class OutputView(PanelView):
    """Its value is one message of `gpt2.ui.session.frames`."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__("output_view.js", template(), style(), **kwargs)
