"""The Attention region: the map as it grows. Drawn by assets/panel/attention_view.js."""

from __future__ import annotations

from typing import Any

import gradio as gr

from gpt2.ui.assets import mount_script, panel_text

_STYLES = ("attention_view.css", "attention_map.css", "attention_side.css")


class AttentionView(gr.HTML):
    """Its value is one message of `gpt2.ui.frames`; the template itself never changes."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(
            html_template=panel_text("attention_view.html"),
            css_template="".join(map(panel_text, _STYLES)),
            js_on_load=mount_script("attention_view.js"),
            apply_default_css=False,
            **kwargs,
        )

    def api_info(self) -> dict[str, Any]:
        return {"type": "object"}
