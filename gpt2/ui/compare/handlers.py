"""What happens on a click in the Compare tab."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import gradio as gr

from gpt2.checkpoint import Cancelled
from gpt2.residency import Residency
from gpt2.sampling import SamplingOptions
from gpt2.ui.compare.comparison import Comparison
from gpt2.ui.compare.requested import checked_sizes, compared, memory_line
from gpt2.ui.compare.surprise import Scoring
from gpt2.ui.session.frames import Value
from gpt2.ui.session.requests import check_text, checked
from gpt2.ui.session.runner import SORRY, USER_ERRORS
from gpt2.ui.session.sizes import source_of
from gpt2.ui.session.visitors import Visitors, address_of

NOT_YET = "Compare · nothing written yet"  # the words at the top right of the page

_log = logging.getLogger(__name__)

Shown = tuple[Any, Any, Any, Any]


@dataclass(slots=True)
class TextCursor:
    """Where a visitor has asked what comes next: the sliders move its bars."""

    text: str
    sizes: list[str]


@dataclass(slots=True)
class CompareVisitor:
    """One open page: what ends its comparison and what is being scored, and its cursor."""

    stop: threading.Event = field(default_factory=threading.Event)
    stopped: bool = False  # `stop` is set by whoever ends, also by itself
    scoring: threading.Event = field(default_factory=threading.Event)
    text_cursor: TextCursor | None = None

    def end(self) -> None:
        """Every column within one token, and what is scored."""
        self.stopped = True
        self.stop.set()
        self.scoring.set()


class CompareHandlers:
    """One per page; a visitor is told apart by Gradio's session hash."""

    def __init__(self, comparison: Comparison, scoring: Scoring, residency: Residency) -> None:
        self._comparison = comparison
        self._scoring = scoring
        self._residency = residency
        self._visitors = Visitors(CompareVisitor, CompareVisitor.end)

    def compare(
        self,
        prompt: str,
        sizes: list[str],
        temperature: float,
        new_tokens: float,
        top_k: float,
        top_p: float,
        seed: str,
        same_noise: bool,
        request: gr.Request,
    ) -> Iterator[Shown]:
        """All columns, until the last one ends."""
        visitor = self._visitors.of(request)
        visitor.stop.set()
        stop = visitor.stop = threading.Event()
        visitor.stopped = False
        try:
            wanted = compared(
                prompt, sizes, temperature, new_tokens, top_k, top_p, seed, same_noise
            )
            names = ", ".join(source_of(one.size).title for one in wanted)
            badge = f"{names} · comparing"
            for columns, surprise, figures in self._comparison.frames(
                wanted, stop, address_of(request)
            ):
                yield columns, surprise or gr.skip(), figures or gr.skip(), badge
            end = "stopped" if visitor.stopped else "compared"
            yield gr.skip(), gr.skip(), gr.skip(), f"{names} · {end}"
        except Cancelled:
            yield _complaint("Stopped before the first token.")
        except USER_ERRORS as error:
            yield _complaint(str(error))
        except Exception:
            _log.exception("a comparison failed")
            yield _complaint(SORRY)

    def stop(self, request: gr.Request) -> None:
        """End every column within one token, and what is scored. Also for a tab that was closed."""
        self._visitors.of(request).end()

    def memory(self, prompt: str, sizes: list[str], new_tokens: float) -> str:
        """What the chosen sizes need, before anything is loaded."""
        try:
            return memory_line(compared(prompt, sizes, 1, new_tokens, 0, 1, 0), self._residency)
        except USER_ERRORS as error:
            return str(error)

    def score(
        self, prompt: str, sizes: list[str], request: gr.Request, event: gr.EventData
    ) -> Iterator[Value]:
        """The surprise strip of the text in the event, or of the prompt where it names none."""
        text = getattr(event, "text", None)
        try:
            text = check_text(prompt if text is None else text, "Text")
            names = checked_sizes(sizes)
            if not text:
                raise ValueError("There is no text to score.")
        except USER_ERRORS as error:
            yield {"note": str(error)}
            return
        yield from _newest(
            self._visitors.of(request), "note", lambda stop: self._scoring.scores(text, names, stop)
        )

    def expect(
        self,
        temperature: float,
        top_k: float,
        top_p: float,
        request: gr.Request,
        event: gr.EventData,
    ) -> Iterator[Value]:
        """What may follow the text in the event."""
        try:
            text = check_text(getattr(event, "text", None), "Text")
            text_cursor = TextCursor(text, checked_sizes(getattr(event, "sizes", None)))
        except USER_ERRORS as error:
            yield {"next_note": str(error)}
            return
        visitor = self._visitors.of(request)
        visitor.text_cursor = text_cursor
        yield from self._next(visitor, text_cursor, temperature, top_k, top_p)

    def sampling_changed(
        self, temperature: float, top_k: float, top_p: float, request: gr.Request
    ) -> Iterator[Any]:
        """The same place under other options."""
        visitor = self._visitors.of(request)
        if visitor.text_cursor is None:
            yield gr.skip()
        else:
            yield from self._next(visitor, visitor.text_cursor, temperature, top_k, top_p)

    def _next(
        self,
        visitor: CompareVisitor,
        text_cursor: TextCursor,
        temperature: object,
        top_k: object,
        top_p: object,
    ) -> Iterator[Value]:
        try:
            options = _options(temperature, top_k, top_p)
        except USER_ERRORS as error:
            yield {"next_note": str(error)}
            return
        yield from _newest(
            visitor,
            "next_note",
            lambda stop: self._scoring.expected(text_cursor.text, text_cursor.sizes, options, stop),
        )


def _newest(
    visitor: CompareVisitor, note: str, work: Callable[[threading.Event], Iterator[Value]]
) -> Iterator[Value]:
    """What `work` says, until Stop or until the visitor asks for something newer."""
    visitor.scoring.set()
    stop = visitor.scoring = threading.Event()
    try:
        yield from work(stop)
    except Cancelled:
        # Who is stopped is told; who has asked for something newer sees that.
        yield {note: "Stopped."} if visitor.scoring is stop else gr.skip()
    except USER_ERRORS as error:
        yield {note: str(error)}


def _options(temperature: object, top_k: object, top_p: object) -> SamplingOptions:
    return checked("", "tiny", temperature, 1, top_k, top_p, 0).options


def _complaint(sentence: str) -> Shown:
    """What is shown stays as it is; the sentence stands above it."""
    return {"note": sentence}, gr.skip(), gr.skip(), "Compare · not running"
