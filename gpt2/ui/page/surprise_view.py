"""The surprise strip and the next tokens. Drawn by assets/panel/compare/surprise_view.js."""

from __future__ import annotations

from typing import Any

import gradio as gr

from gpt2.ui.page.assets import mount_script, panel_text


class SurpriseView(gr.HTML):
    """Its value is one message of `gpt2.ui.compare.surprise`.

    Events: `score` asks for a text to be scored, `expect` for what may follow a part of it.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(
            html_template=panel_text("surprise_view.html"),
            css_template=panel_text("surprise_view.css") + panel_text("next_tokens.css"),
            js_on_load=mount_script("surprise_view.js", "score", "expect"),
            apply_default_css=False,
            **kwargs,
        )

    def api_info(self) -> dict[str, Any]:
        return {"type": "object"}
