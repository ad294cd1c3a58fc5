"""Puts back, after a reload, what the tab has kept: the text so far and every control.

The browser keeps it (`assets/panel/share/session_store.js`), not the server: so it outlives a
server that was killed, slept or moved. What comes back is read like anything else a stranger sends.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import gradio as gr

from gpt2.checkpoint import CheckpointError
from gpt2.serving.incoming import MOST_BYTES, cleaned
from gpt2.ui.page.assets import panel_module
from gpt2.ui.page.controls import Controls, draft_update
from gpt2.ui.page.handlers import Handlers
from gpt2.ui.page.output_view import OutputView
from gpt2.ui.session.kept_log import RELOADED, log_of
from gpt2.ui.session.requests import MOST_CHARACTERS, checked
from gpt2.ui.session.run_log import RunLog
from gpt2.ui.session.sizes import config_of

_PARTS = ("text", "controls")

_KEEP = f"""(...values) => {{
  {panel_module("session_store.js")}.then((kept) => kept.keepControls(values));
  return [];
}}"""
_READ = f"async () => [await (await {panel_module('link.js')}).read()]"


def wire_restoring(
    page: gr.Blocks,
    handlers: Handlers,
    controls: Controls,
    output: OutputView,
    example: Callable[[], RunLog],
) -> None:
    """Keep the controls in the browser as they change; put them and the text back on load.

    A page without a text shows `example`. A log that this server still has is read again; of any
    other the browser has kept the tokens, and a new log is made of them.
    """

    def restore(kept: str, request: gr.Request) -> list[Any]:
        text, values = _parsed(kept)
        log = handlers.adopt(_kept(handlers, text) or log_of(text), request)
        if log is None and not handlers.has_text(request):
            log = example()
        return [*_controls_of(values, controls), log.pointer if log else gr.skip()]

    kept = gr.Textbox(visible=False)
    fields: list[Any] = [*controls.request]  # Gradio adds `change` to them where no checker sees it
    for control in fields:
        # In the browser alone, so that it works while the server is busy.
        control.change(None, controls.request, js=_KEEP, api_visibility="private")
    page.load(
        restore,
        kept,
        [*controls.request, output],
        js=_READ,
        show_progress="hidden",
        show_progress_on=controls.prompt,
        api_visibility="private",
    )


def _parsed(kept: object) -> tuple[dict[str, Any], list[Any]]:
    """The kept text and control values; empty where there are none, or none that can be read."""
    try:
        text = kept if isinstance(kept, str) and len(kept) < MOST_BYTES else "{}"
        found = cleaned(json.loads(text))
    except (ValueError, RecursionError):
        found = {}
    run, values = (found.get(name) if isinstance(found, dict) else None for name in _PARTS)
    return run if isinstance(run, dict) else {}, values if isinstance(values, list) else []


def _kept(handlers: Handlers, text: dict[str, Any]) -> RunLog | None:
    """The log that this server still has; it may still be written."""
    log = handlers.kept(text.get("run"))
    if log and log.state == "stopped" and text.get("state") == "running":
        log.note = RELOADED  # the page was away for too long
    return log


def _controls_of(values: list[Any], controls: Controls) -> list[Any]:
    """The controls as they were left; the prompt alone where they make no request."""
    fields = controls.request
    try:
        given = dict(zip(fields, values, strict=True))
        request = checked(*values)
    except (TypeError, ValueError, CheckpointError):
        prompt = values[0] if values and isinstance(values[0], str) else ""
        keep = 0 < len(prompt) <= MOST_CHARACTERS
        return [prompt if keep and field is controls.prompt else gr.skip() for field in fields]
    most = config_of(request.size).max_seq_len - 1
    given[controls.new_tokens] = gr.update(maximum=most, value=request.new_tokens)
    given[controls.draft] = draft_update(request.size, request.draft)
    return list(given.values())
