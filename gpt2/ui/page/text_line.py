"""A line of plain words on the page: the status at the top, the count under the prompt."""

from __future__ import annotations

from typing import Any

import gradio as gr

from gpt2.ui.page.assets import mount_script


class TextLine(gr.HTML):
    """Its value is shown as text, whatever is in it; Gradio's own templates would run it."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(
            html_template='<p role="status"></p>',
            js_on_load=mount_script("text_line.js"),
            apply_default_css=False,
            **kwargs,
        )
