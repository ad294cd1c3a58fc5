"""A view of the page that a module of assets/panel draws."""

from __future__ import annotations

import json
from typing import Any

import gradio as gr

from gpt2.ui.page.assets import mount_script

# The style is scoped as Gradio scopes its own.
_PUT_UP = """element.innerHTML = {markup};
const style = document.createElement("style");
style.textContent = `#${{element.id}} {{ ` + {style} + " }}";
element.append(style);
"""


class PanelView(gr.HTML):
    """Its value is one message; its markup and style are put up once.

    As templates, Gradio would compile both at every message and write the style sheet anew, and the
    browser would then style the whole page again: on a slow machine that takes longer than drawing.
    For the same reason a message travels as text: an object is copied and compared part by part.
    `events` are those the view sends.
    """

    def __init__(
        self, module: str, markup: str, style: str, events: tuple[str, ...] = (), **kwargs: Any
    ) -> None:
        super().__init__(
            html_template="",
            js_on_load=_PUT_UP.format(markup=json.dumps(markup), style=json.dumps(style))
            + mount_script(module, *events),
            apply_default_css=False,
            **kwargs,
        )

    def postprocess(  # type: ignore[override]  # gr.HTML says it takes text alone
        self, value: dict[str, Any] | None
    ) -> str | None:
        return None if value is None else json.dumps(value, ensure_ascii=False)

    def api_info(self) -> dict[str, Any]:
        return {"type": "object"}
