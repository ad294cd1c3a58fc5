"""The page: its controls, where they stand, and which handler each of them calls."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Any, cast
from weakref import WeakKeyDictionary

import gradio as gr
import uvicorn
from fastapi.exceptions import RequestValidationError
from gradio import http_server
from starlette.middleware import Middleware
from starlette.routing import BaseRoute

from gpt2.residency import Residency, memory_budget
from gpt2.runtime import settings
from gpt2.serving.connections import BACKLOG, Connection, most_connections
from gpt2.serving.engines import engine_loader, home_device
from gpt2.serving.framing import frame_ancestors
from gpt2.ui.compare.handlers import NOT_YET
from gpt2.ui.compare.tab import add_compare
from gpt2.ui.gradio_patches.discreet import keep_texts_out_of_hooks, keep_texts_out_of_logs
from gpt2.ui.gradio_patches.gradio_bundle import GradioFiles
from gpt2.ui.gradio_patches.polling import poll_slowly
from gpt2.ui.gradio_patches.sub_path import SubPath
from gpt2.ui.page.about import about_line, about_routes
from gpt2.ui.page.assets import panel_text
from gpt2.ui.page.attention_view import AttentionView
from gpt2.ui.page.controls import Controls
from gpt2.ui.page.handlers import RUNS, Handlers
from gpt2.ui.page.learn_bar import LearnBar
from gpt2.ui.page.output_view import OutputView
from gpt2.ui.page.panel_bundle import panel_routes
from gpt2.ui.page.restoring import wire_restoring
from gpt2.ui.page.text_line import TextLine
from gpt2.ui.page.theme import page_theme
from gpt2.ui.session.admission import Admission, Readers
from gpt2.ui.session.api import Api, add_call
from gpt2.ui.session.attention_requests import AttentionRequests
from gpt2.ui.session.calls import Calls, told_what_does_not_fit
from gpt2.ui.session.ending import serve_until_signalled
from gpt2.ui.session.guard import Guard
from gpt2.ui.session.inspect_api import InspectApi
from gpt2.ui.session.limits import MOST_VISITORS, Limits
from gpt2.ui.session.log_route import LogRoute
from gpt2.ui.session.operations import operations
from gpt2.ui.session.playground import Playground
from gpt2.ui.session.runner import Runner

TITLE = "GPT-2, from scratch"
WHAT = (
    'Watch a <button type="button" class="term" data-term="model">language model</button> choose '
    "each word, and see which earlier words it looks at."
)

_STYLES = (
    "tokens.css",
    "app.css",
    "controls.css",
    "compare.css",
    "popover.css",
    "guide.css",
    "projector.css",
)
_MOST_IN_CLUSTER = 24  # each holds one of this process's threads
# Every run in line holds a thread; beside them the page itself needs some.
_SPARE_THREADS = 40

# Routes of our own beside Gradio's, which takes them only when it is launched.
_routes: WeakKeyDictionary[gr.Blocks, list[BaseRoute]] = WeakKeyDictionary()
_runners: WeakKeyDictionary[gr.Blocks, Runner] = WeakKeyDictionary()
_readers: WeakKeyDictionary[gr.Blocks, Readers] = WeakKeyDictionary()
_logs: WeakKeyDictionary[gr.Blocks, LogRoute] = WeakKeyDictionary()


def build_page(where: str = "local") -> gr.Blocks:
    """Everything wired; the built-in model loads in the background. Raises ValueError."""
    frame_ancestors()  # says now, not at the first visit, what is no origin
    runner = build_runner(where)
    playground = Playground(runner)
    asked = AttentionRequests(playground)
    api, inspect_api = Api(playground), InspectApi(playground)

    functions = asked.server_functions()

    page = gr.Blocks(title=TITLE, fill_width=True, analytics_enabled=False)
    with page:
        with gr.Row(elem_id="top"):
            gr.HTML(f"<h1>{TITLE}</h1><p>{WHAT}</p>", apply_default_css=False)
            LearnBar(elem_id="learn")
            status = TextLine(elem_id="status")
            compared = TextLine(value=NOT_YET, elem_id="compare-status")  # of that tab, when open
        with gr.Tabs(elem_id="tabs"):
            with gr.Tab("Generate"):
                controls, output, attention = _write_tab(functions)
            with gr.Tab("Compare"):
                columns = add_compare(page, playground, functions, RUNS, compared)
        gr.HTML(about_line(), elem_id="about", apply_default_css=False)
        handlers = Handlers(playground)
        handlers.wire(page, controls, output, attention, status, columns)
        wire_restoring(page, handlers, controls, output, asked.example)
        add_call(page, api.generate, "generate", **RUNS)
        add_call(page, api.attention, "attention", concurrency_limit=2)
        add_call(page, inspect_api.tokens, "tokens", **RUNS)
        add_call(page, inspect_api.lens, "lens", **RUNS)
        add_call(page, inspect_api.effects, "effects", **RUNS)
    # On a Space Gradio would put a header over our own, with fonts and pictures from other hosts.
    page.space_id = None
    logs = _logs[page] = LogRoute(asked, playground.logs)
    _routes[page] = [*panel_routes(), *about_routes(), *logs.routes(), *operations(runner)]
    # The first visitor should find the built-in model loaded.
    asked.warm_up()
    # Closed: routes that bypass the queue, where nobody counts who calls.
    page.queue(default_concurrency_limit=4, api_open=False)
    poll_slowly(page)
    _readers[page] = Readers()
    _runners[page] = runner
    Admission(page, runner.limits, _readers[page], lambda: runner.closing)
    return page


def build_runner(where: str) -> Runner:
    """The models in this process, or those of a Ray cluster, whose memory is its own affair."""
    limits = Limits.from_environment()
    if where == "ray":
        return Runner(Residency(sys.maxsize, engine_loader(where)), _MOST_IN_CLUSTER, limits)
    return Runner(Residency(memory_budget(home_device()), engine_loader()), limits.running, limits)


def _write_tab(
    functions: list[Callable[..., Any]],
) -> tuple[Controls, OutputView, AttentionView]:
    """The controls and the two views; `functions` are what a view may ask the server."""
    with gr.Row(elem_id="columns"):
        with gr.Column(elem_id="left"):
            controls = Controls.build()
            output = OutputView(elem_id="output", server_functions=functions)
        with gr.Column(elem_id="right"):
            attention = AttentionView(elem_id="attention", server_functions=functions)
    return controls, output, attention


def launch(
    page: gr.Blocks, prevent_thread_lock: bool = False, **options: Any
) -> tuple[Any, str, str]:
    """Serve the page; `options` are Gradio's, `server_name` and `server_port` above all.

    Unless `prevent_thread_lock`, this ends with the process. Raises ValueError, with a sentence,
    where the port has been taken meanwhile.
    """
    limits = Limits.from_environment()
    if str(options.get("server_name", "")).startswith("["):
        # Gradio tries out whether the port is free with a socket that knows no IPv6.
        http_server.LOCALHOST_NAME = "127.0.0.1"
    keep_texts_out_of_logs(page)
    _bound_connections()
    agents = settings.MCP.get()
    components = _components_of(page)
    guard = Middleware(
        Guard,
        readers=_readers[page],
        calls=Calls.of_page(page),
        agents=agents,
        components=components,
    )
    files = Middleware(GradioFiles, components=components)
    middleware = [Middleware(SubPath, prefix=settings.prefix()), guard, files]
    try:
        served = _launched(page, limits, middleware, options)
    except OSError as error:
        if "empty port" not in str(error):
            raise
        raise ValueError(
            f"Port {options.get('server_port')} has been taken by another program meanwhile."
        ) from None
    if not prevent_thread_lock:
        keep_texts_out_of_hooks()
        serve_until_signalled(page, _runners[page], _logs[page])
    return served


def _launched(
    page: gr.Blocks, limits: Limits, middleware: list[Middleware], options: dict[str, Any]
) -> tuple[Any, str, str]:
    served: tuple[Any, str, str] = page.launch(
        theme=page_theme(),
        css="".join(map(panel_text, _STYLES)),
        app_kwargs={
            "routes": _routes[page],
            "middleware": middleware,
            "exception_handlers": {RequestValidationError: told_what_does_not_fit},
        },
        footer_links=["api"],
        ssr_mode=False,
        run_history=False,
        enable_monitoring=False,
        pwa=False,
        mcp_server=settings.MCP.get(),
        root_path=settings.ROOT_PATH.get(),
        num_workers=0,  # they would serve the files beside the guard
        state_session_capacity=MOST_VISITORS,
        max_threads=limits.running + limits.waiting + _SPARE_THREADS,
        prevent_thread_lock=True,
        **options,
    )
    return served


def _components_of(page: gr.Blocks) -> frozenset[str]:
    """The kinds of Gradio's components that it shows, by their names in Gradio's scripts."""
    return frozenset(block.get_block_name() for block in page.blocks.values())


def _bound_connections() -> None:
    """Gradio starts uvicorn, and gives it neither limits nor others a way to.

    No log of requests, whatever uvicorn is told: ids of texts stand in their addresses. One
    process, whatever WEB_CONCURRENCY says, where nonsense would end the start.
    """
    Connection.most = most_connections()
    cast(Any, http_server).uvicorn = SimpleNamespace(
        Config=partial(
            uvicorn.Config, http=Connection, backlog=BACKLOG, access_log=False, workers=1
        )
    )
