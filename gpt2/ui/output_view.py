"""The Output region: the text as it comes. Drawn by assets/panel/output_view.js."""

from __future__ import annotations

from typing import Any

import gradio as gr

from gpt2.ui.assets import mount_script, panel_text


def template() -> str:
    """Its markup, for a page that shows more than one."""
    return panel_text("output_view.html")


def style() -> str:
    """Its style, which belongs inside an element of its own."""
    return panel_text("output_view.css") + panel_text("output_draft.css")


class OutputView(gr.HTML):
    """Its value is one message of `gpt2.ui.frames`; the template itself never changes."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(
            html_template=template(),
            css_template=style(),
            js_on_load=mount_script("output_view.js"),
            apply_default_css=False,
            **kwargs,
        )

    def api_info(self) -> dict[str, Any]:
        return {"type": "object"}
