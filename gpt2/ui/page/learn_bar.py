"""Tour, lessons and pace, at the top of the page. Drawn by assets/panel/learn/learn_bar.js."""

from __future__ import annotations

from typing import Any

from gpt2.ui.page.assets import panel_text
from gpt2.ui.page.panel_view import PanelView


class LearnBar(PanelView):
    """Has no value: what it opens lives in the browser alone."""

    def __init__(self, **kwargs: Any) -> None:
        markup, style = panel_text("learn_bar.html"), panel_text("learn_bar.css")
        super().__init__("learn_bar.js", markup, style, **kwargs)
