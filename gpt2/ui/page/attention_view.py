"""The Attention region: the map as it grows. Drawn by assets/panel/map/attention_view.js."""

from __future__ import annotations

from typing import Any

from gpt2.ui.page.assets import panel_text
from gpt2.ui.page.panel_view import PanelView

_STYLES = (
    "attention_view.css",
    "attention_map.css",
    "attention_side.css",
    "inspector.css",
    "attention_atlas.css",
)


def template() -> str:
    """Its markup, for a page that shows more than one."""
    return panel_text("attention_view.html")


def style() -> str:
    """Its style, which belongs inside an element of its own."""
    return "".join(map(panel_text, _STYLES))


class AttentionView(PanelView):
    """Its value is one message of `gpt2.ui.session.frames`."""

    def __init__(self, **kwargs: Any) -> None:
        events = ("rewrite", "show", "beside")
        super().__init__("attention_view.js", template(), style(), events, **kwargs)
