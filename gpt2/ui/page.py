"""The page: its controls, where they stand, and which handler each of them calls."""

from __future__ import annotations

from typing import Any

import gradio as gr
from gradio.events import api as api_endpoint  # gr.api, under the name that type checkers see

from gpt2.residency import Residency, memory_budget
from gpt2.ui.api import Api
from gpt2.ui.assets import panel_route, panel_text
from gpt2.ui.attention_requests import AttentionRequests
from gpt2.ui.attention_view import AttentionView
from gpt2.ui.controls import Controls
from gpt2.ui.frames import Value
from gpt2.ui.handlers import RUNS, Handlers
from gpt2.ui.output_view import OutputView
from gpt2.ui.playground import Playground
from gpt2.ui.runner import Runner
from gpt2.ui.text_line import TextLine
from gpt2.ui.theme import page_theme

TITLE = "GPT-2, from scratch"

# Two cores advance two runs about as fast as one after the other; more would only slow each.
_MOST_RUNNING = 2


def build_page() -> gr.Blocks:
    """Everything wired; the built-in model loads in the background."""
    playground = Playground(Runner(Residency(memory_budget()), _MOST_RUNNING))
    asked = AttentionRequests(playground)
    api = Api(playground)

    # Gradio marks what the browser may call, and a bound method takes no mark.
    def pull(request: Any) -> Value:
        return asked.pull(request)

    def watch_layer(request: Any) -> Value:
        return asked.watch_layer(request)

    page = gr.Blocks(title=TITLE, fill_width=True, analytics_enabled=False)
    with page:
        with gr.Row(elem_id="top"):
            gr.HTML(f"<h1>{TITLE}</h1>", apply_default_css=False)
            status = TextLine(elem_id="status")
        with gr.Row(elem_id="columns"):
            with gr.Column(elem_id="left"):
                controls = Controls.build()
                output = OutputView(elem_id="output", server_functions=[pull, watch_layer])
            with gr.Column(elem_id="right"):
                attention = AttentionView(elem_id="attention", server_functions=[pull, watch_layer])
        Handlers(playground).wire(page, controls, output, attention, status)
        page.load(
            asked.example, outputs=attention, show_progress="hidden", api_visibility="private"
        )
        api_endpoint(api.generate, api_name="generate", **RUNS)
        api_endpoint(api.attention, api_name="attention", concurrency_limit=2)
    # The first visitor should find the built-in model loaded.
    asked.warm_up()
    page.queue(default_concurrency_limit=4, max_size=128)
    return page


def launch(page: gr.Blocks, **options: Any) -> tuple[Any, str, str]:
    """Serve the page; host and port come from Gradio's own environment variables."""
    served: tuple[Any, str, str] = page.launch(
        theme=page_theme(),
        css=panel_text("tokens.css") + panel_text("app.css"),
        app_kwargs={"routes": [panel_route()]},
        footer_links=["api"],
        ssr_mode=False,
        run_history=False,
        enable_monitoring=False,
        pwa=False,
        **options,
    )
    return served
