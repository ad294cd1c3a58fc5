"""What happens on a click: from Gradio's events to the playground and back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any

import gradio as gr

from gpt2.checkpoint import CheckpointError
from gpt2.config import SIZES
from gpt2.ui.page.assets import panel_module
from gpt2.ui.page.attention_view import AttentionView
from gpt2.ui.page.compare_view import CompareView
from gpt2.ui.page.controls import Controls, draft_update
from gpt2.ui.page.output_view import OutputView
from gpt2.ui.page.text_line import TextLine
from gpt2.ui.session.beside import beside_each_other
from gpt2.ui.session.frames import complaint
from gpt2.ui.session.inspect_requests import heads_of, instead_of
from gpt2.ui.session.kept_log import log_of
from gpt2.ui.session.playground import Frame, Playground, Visitor
from gpt2.ui.session.requests import MOST_CHARACTERS, OFF, at_most, checked, count_tokens, whole
from gpt2.ui.session.run_log import RunLog
from gpt2.ui.session.runner import USER_ERRORS
from gpt2.ui.session.sizes import choices, config_of, drafts_for, size_hint, source_of
from gpt2.ui.session.visitors import Visitors, address_of

# A prompt that is too long anyway is cut before it travels to be counted.
_CUT = f"(prompt, size) => [prompt.slice(0, {MOST_CHARACTERS + 1}), size]"

# In the browser, where New tokens has what was typed while the server was asked.
_FIT = "(tokens, most) => [tokens > most ? most : tokens]"

# A reader who wants one token at a time asks for one.
_PACED = f"async (...values) => (await {panel_module('writing_pace.js')}).paced(values)"

_COMPARE = f"async () => {{ (await {panel_module('real_controls.js')}).showTab('Compare'); }}"

# Runs wait in a queue of our own (`gpt2.ui.session.admission_queue`), each holding one of Gradio's
# threads;
# it is also
# our queue that says whom it cannot take.
RUNS: dict[str, Any] = {"concurrency_id": "runs", "concurrency_limit": None}

Shown = tuple[Any, Any]
_MOST_BESIDE = 4  # branches that Compare shows at once
_MOST_NAME = 200  # characters
_GONE = "This text is no longer on the server. Generate it again."


class Handlers:
    """One per page; a visitor is told apart by Gradio's session hash."""

    def __init__(self, playground: Playground) -> None:
        self._playground = playground
        self._visitors = Visitors(Visitor, lambda visitor: visitor.stop.set())

    def wire(
        self,
        page: gr.Blocks,
        controls: Controls,
        output: OutputView,
        attention: AttentionView,
        status: TextLine,
        columns: CompareView,
    ) -> None:
        """Connect every control; `columns` are those of Compare."""
        views = [output, status]
        counted = {"inputs": [controls.prompt, controls.size], "outputs": controls.count}
        quiet = _quietly(status)
        # "multiple": a click while a text is being written ends that one and starts the next.
        runs: dict[str, Any] = {**RUNS, **quiet, "trigger_mode": "multiple"}
        _speak_up(controls, quiet)
        for event in (
            # Named, or it would take the name of the public /generate.
            gr.on([controls.generate.click, controls.prompt.submit], self.generate,
                  controls.request, views, js=_PACED, api_name="click_generate", **runs),
            controls.more.click(self.go_on, controls.request, views, js=_PACED, **runs),
            attention.rewrite(self.rewrite, None, views, **runs),
        ):  # fmt: skip
            # A size that was downloaded is "already here" from now on.
            after = [controls.size, controls.new_tokens]
            event.then(self.downloaded, controls.size, after, **quiet)
            event.then(None, js=_said("answered()"), **quiet)
        attention.show(self.show, None, views, queue=False, **quiet)
        attention.beside(self.beside, None, columns, queue=False, **quiet).then(
            None, js=_COMPARE, **quiet
        )
        page.load(self.arrive, controls.size, [controls.size, status], **quiet)
        controls.stop.click(self.stop, queue=False, **quiet)
        self._follow_size(controls, status, quiet)
        gr.on(
            [controls.prompt.change, controls.size.change],
            count_tokens,
            js=_CUT,
            trigger_mode="always_last",
            **counted,
            **quiet,
        )
        page.unload(self.forget)

    def _follow_size(self, controls: Controls, status: TextLine, quiet: dict[str, Any]) -> None:
        most = gr.Number(visible=False)
        controls.size.change(
            self.size_changed,
            [controls.size, controls.draft],
            [controls.new_tokens, most, controls.draft, controls.about_size, status],
            **quiet,
        ).then(None, [controls.new_tokens, most], controls.new_tokens, js=_FIT, **quiet)

    def generate(
        self,
        prompt: str,
        size: str,
        temperature: float,
        new_tokens: float,
        top_k: float,
        top_p: float,
        seed: str,
        draft: str,
        request: gr.Request,
    ) -> Iterator[Shown]:
        """Start a new text."""
        try:
            wanted = checked(prompt, size, temperature, new_tokens, top_k, top_p, seed, draft)
        except USER_ERRORS as error:
            yield _complaint(error)
            return
        visitor, address = self._visitors.of(request), address_of(request)
        yield from map(_shown, self._playground.generate(wanted, visitor, address))

    def go_on(
        self,
        prompt: str,
        size: str,
        temperature: float,
        new_tokens: float,
        top_k: float,
        top_p: float,
        seed: str,
        draft: str,
        request: gr.Request,
    ) -> Iterator[Shown]:
        """Go on with the newest text, by the model that began it; its seed stays unless given."""
        visitor = self._visitors.of(request)
        log = visitor.log
        try:
            if log is None:
                raise ValueError("There is no text to continue yet. Generate one first.")
            same = seed or log.options.seed
            # The controls may be set for another size than the one that goes on.
            draft = draft if draft in drafts_for(log.size) else OFF
            wanted = checked("", log.size, temperature, 1, top_k, top_p, same, draft)
            wanted = replace(wanted, new_tokens=at_most(new_tokens, log.size))
        except USER_ERRORS as error:
            yield _complaint(error)
            return
        frames = self._playground.go_on(wanted, visitor, log, address_of(request))
        yield from map(_shown, frames)

    def rewrite(self, request: gr.Request, event: gr.EventData) -> Iterator[Shown]:
        """A text from a place on, otherwise: what the event says (`Playground.rewrite`)."""
        try:
            log = self._log_of(event)
            at = whole("Place must be a whole number", getattr(event, "at", None))
            token = getattr(event, "token", None)
            token = token if token is None else whole("Token must be a whole number", token)
            off = heads_of(getattr(event, "off", None), log)
            instead = instead_of(getattr(event, "instead", None))
            visitor, address = self._visitors.of(request), address_of(request)
            frames = self._playground.rewrite(visitor, log, at, token, off, address, instead)
        except USER_ERRORS as error:
            yield _complaint(error)
            return
        yield from map(_shown, frames)

    def show(self, request: gr.Request, event: gr.EventData) -> Shown:
        """A text that this page has shown before."""
        try:
            return _shown(self._playground.show(self._visitors.of(request), self._log_of(event)))
        except USER_ERRORS as error:
            return _complaint(error)

    def beside(self, event: gr.EventData) -> Any:
        """Texts that this page has shown, in the columns of Compare."""
        try:
            asked = getattr(event, "texts", None)
            texts = [one for one in asked if isinstance(one, dict)] if type(asked) is list else []
            if not 1 <= len(texts) <= _MOST_BESIDE:
                raise ValueError(f"From 1 to {_MOST_BESIDE} branches stand beside each other.")
            named = [(str(one.get("name", ""))[:_MOST_NAME], self._known(one)) for one in texts]
        except USER_ERRORS as error:
            return {"note": str(error)}
        return beside_each_other(named)

    def _log_of(self, event: gr.EventData) -> RunLog:
        return self._known({name: getattr(event, name, None) for name in ("run", "text")})

    def _known(self, asked: dict[str, Any]) -> RunLog:
        """The `run`'s log, if it still is as its `text` says, else a new one of that text.

        It may have been continued since, or the server may be another one by now.
        """
        log, text = self._playground.logs.get(asked.get("run")), asked.get("text")
        text = text if isinstance(text, dict) else {}
        tokens = text.get("tokens")
        length = len(tokens) if isinstance(tokens, list) else None
        if log is not None and not log.example and length in (None, len(log.ids)):
            return log
        if (kept := log_of(text)) is None:
            raise ValueError(_GONE)
        self._playground.logs.add(kept)
        return kept

    def downloaded(self, size: str) -> tuple[Any, Any]:
        """The list anew, and New tokens up to what a repository turned out to read."""
        fit: Any = gr.skip()
        with suppress(ValueError, CheckpointError):
            if size not in SIZES:
                fit = gr.update(maximum=config_of(size).max_seq_len - 1)
        return gr.update(choices=choices()), fit

    def arrive(self, size: str) -> tuple[Any, str]:
        """What may have changed since the server started: which sizes are here, what is ready."""
        return gr.update(choices=choices()), self._playground.status(size)

    def size_changed(self, size: str, draft: str) -> tuple[Any, int, Any, str, str]:
        """What this size can read at most, who can draft for it, what it is, whether it is here."""
        drafts = draft_update(size, draft)
        hint, status = size_hint(size), self._playground.status(size)
        try:
            most = config_of(source_of(size).name).max_seq_len - 1
        except CheckpointError:  # the status says what is wrong
            return gr.skip(), SIZES["tiny"].config.max_seq_len - 1, drafts, hint, status
        return gr.update(maximum=most), most, drafts, hint, status

    def stop(self, request: gr.Request) -> None:
        """End this visitor's run within one token."""
        self._visitors.of(request).stop.set()

    def forget(self, request: gr.Request) -> None:
        """The tab is closed, loaded again, or its connection broke.

        What has not begun is given up; a text goes on for a little while, in case the page is back.
        """
        self._visitors.of(request).leave()

    def has_text(self, request: gr.Request) -> bool:
        """Whether this visitor has begun a text, or has been given a kept one back."""
        return self._visitors.of(request).log is not None

    def adopt(self, log: RunLog | None, request: gr.Request) -> RunLog | None:
        """Make a kept text this visitor's own, unless there is one already."""
        visitor = self._visitors.of(request)
        if log is None or not visitor.adopt(log):
            return None
        self._playground.logs.add(log)
        return log

    def kept(self, run_id: object) -> RunLog | None:
        """The log of a text that a tab has kept, where this server still has it."""
        log = self._playground.logs.get(run_id)
        return None if log is None or log.example else log


def _quietly(status: TextLine) -> dict[str, Any]:
    """Gradio tells every output of a run at every step that it is being written; one is enough."""
    return {"show_progress": "hidden", "show_progress_on": status, "api_visibility": "private"}


def _speak_up(controls: Controls, quiet: dict[str, Any]) -> None:
    """What the page says by itself; before the runs are wired, since who listens to one click is
    called one after the other.
    """
    pressed = [controls.generate.click, controls.prompt.submit, controls.more.click]
    gr.on(pressed, None, js=_said("asked()"), **quiet)
    controls.stop.click(None, js=_said("stopped()"), **quiet)
    for slider in controls.sliders:
        what = f"typed({slider.label!r}, value, {slider.elem_id!r})"
        # Gradio would drop what is typed while it still tells of the key before.
        slider.input(None, slider, js=_said(what), trigger_mode="multiple", **quiet)


def _said(what: str) -> str:
    """JavaScript that tells the page itself what was done, without the server."""
    module = panel_module("fetched.js")
    return f"(value) => {module}.then((said) => {{ said.{what}; return []; }})"


def _shown(frame: Frame) -> Shown:
    output, status = frame
    return output or gr.skip(), status


def _complaint(error: Exception) -> Shown:
    """The text stays as it is; the sentence stands under the buttons, its field is marked."""
    return complaint(str(error)), gr.skip()
