"""The columns of a comparison. Drawn by assets/panel/compare/compare_view.js."""

from __future__ import annotations

from typing import Any

import gradio as gr

from gpt2.ui.page import attention_view, output_view
from gpt2.ui.page.assets import mount_script, panel_text


class CompareView(gr.HTML):
    """Its value is one message of `gpt2.ui.compare.comparison`.

    A column is the Output panel once more, and the full map the Attention panel: their own files,
    each inside a class of its own so that their styles do not meet.
    """

    def __init__(self, **kwargs: Any) -> None:
        template = panel_text("compare_view.html")
        for name, panel in (("output", output_view), ("attention", attention_view)):
            template = template.replace(f"<!-- {name} -->", panel.template())
        super().__init__(
            html_template=template,
            css_template=panel_text("compare_view.css")
            + f".column {{ {output_view.style()} }}\n.full-panel {{ {attention_view.style()} }}",
            js_on_load=mount_script("compare_view.js"),
            apply_default_css=False,
            **kwargs,
        )

    def api_info(self) -> dict[str, Any]:
        return {"type": "object"}
