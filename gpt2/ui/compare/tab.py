"""The Compare tab: what stands in it, and which handler each control calls."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gradio as gr

from gpt2.ui.compare.api import CompareApi
from gpt2.ui.compare.comparison import Comparison
from gpt2.ui.compare.controls import CompareControls
from gpt2.ui.compare.handlers import CompareHandlers
from gpt2.ui.compare.surprise import Scoring
from gpt2.ui.page.compare_view import CompareView
from gpt2.ui.page.figures_view import FiguresView
from gpt2.ui.page.surprise_view import SurpriseView
from gpt2.ui.page.text_line import TextLine
from gpt2.ui.session.api import add_call
from gpt2.ui.session.playground import Playground
from gpt2.ui.session.sizes import choices

_QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}


def add_compare(
    page: gr.Blocks,
    playground: Playground,
    functions: list[Callable[..., Any]],
    runs: dict[str, Any],
    status: TextLine,
) -> CompareView:
    """Put the tab's inside on the page that is being built; its columns.

    `functions` are what a view may ask the server about a run; `runs` is how events that write are
    queued. `status` are the words at the top of the page while the tab is open.
    """
    comparison, scoring = Comparison(playground), Scoring(playground.runner)
    handlers = CompareHandlers(comparison, scoring, playground.runner.residency)
    controls = CompareControls.build()
    controls.memory.value = handlers.memory(
        controls.prompt.value, controls.sizes.value, controls.new_tokens.value
    )
    columns = CompareView(elem_id="compare-columns", server_functions=functions)
    surprise = SurpriseView(elem_id="surprise")
    figures = FiguresView(elem_id="figures")
    views = [columns, surprise, figures, status]
    writing: dict[str, Any] = {**runs, **_QUIET, "trigger_mode": "multiple"}
    gr.on(
        [controls.compare.click, controls.prompt.submit],
        handlers.compare, controls.request_fields, views, api_name="click_compare", **writing,
    ).then(lambda: gr.update(choices=choices()), outputs=controls.sizes, **_QUIET)  # fmt: skip
    controls.stop.click(handlers.stop, queue=False, **_QUIET)
    page.unload(handlers.stop)
    gr.on(
        [controls.sizes.change, controls.new_tokens.release, controls.prompt.blur],
        handlers.memory,
        [controls.prompt, controls.sizes, controls.new_tokens],
        controls.memory,
        trigger_mode="always_last",
        **_QUIET,
    )
    _wire_surprise(surprise, controls, handlers)
    api = CompareApi(comparison, scoring)
    add_call(page, api.compare, "compare", **runs)
    add_call(page, api.score, "score", concurrency_limit=2)
    return columns


def _wire_surprise(
    surprise: SurpriseView, controls: CompareControls, handlers: CompareHandlers
) -> None:
    sampling = [controls.temperature, controls.top_k, controls.top_p]
    scoring: dict[str, Any] = {**_QUIET, "concurrency_id": "scoring", "concurrency_limit": 2}
    # Named, or it would take the name of the public /score.
    surprise.score(
        handlers.score,
        [controls.prompt, controls.sizes],
        surprise,
        api_name="click_score",
        **scoring,
    )
    surprise.expect(handlers.expect, sampling, surprise, trigger_mode="always_last", **scoring)
    gr.on(
        [control.change for control in sampling],
        handlers.sampling_changed,
        sampling,
        surprise,
        trigger_mode="always_last",
        **scoring,
    )
