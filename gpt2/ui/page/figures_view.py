"""The table of a comparison and its picture. Drawn by assets/panel/compare/figures_view.js."""

from __future__ import annotations

from typing import Any

import gradio as gr

from gpt2.ui.page.assets import mount_script, panel_text


class FiguresView(gr.HTML):
    """Its value is {rows: what `gpt2.ui.compare.facts` says of each size}."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(
            html_template=panel_text("figures_view.html"),
            css_template=panel_text("figures_view.css"),
            js_on_load=mount_script("figures_view.js"),
            apply_default_css=False,
            **kwargs,
        )

    def api_info(self) -> dict[str, Any]:
        return {"type": "object"}
