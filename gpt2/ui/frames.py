"""From engine events to what one update of the page says. Only what grew is sent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gpt2.checkpoint import Progress
from gpt2.engine import Event, Finish
from gpt2.sampling import SamplingOptions
from gpt2.tokenizer import Tokenizer
from gpt2.ui.atlas import bins_for, packed_rows
from gpt2.ui.guesses import draft_numbers, wire_guesses
from gpt2.ui.maps import MapView, map_rows
from gpt2.ui.requests import field_of
from gpt2.ui.runs import Run
from gpt2.ui.wire import encode_bytes, pack_rows, wire_tokens

Value = dict[str, Any]


def note(state: str, sentence: str) -> Value:
    """A message of the Output panel that touches no text."""
    return {"run": None, "state": state, "note": sentence}


def complaint(sentence: str) -> Value:
    """A note that something is wrong, with the element of the page that it is about, if any."""
    field = field_of(sentence)
    return note("error", sentence) | ({"field": field} if field else {})


def loading_sentence(title: str, progress: Progress) -> str:
    """How far a download is."""
    return f"{title}: {progress.words}"


def finish_sentence(finish: Finish, title: str, context: int) -> str:
    """Why the text ends, where the numbers do not say it."""
    if finish == "context":
        return (
            f"The context is full: {title} reads {context:,} tokens at most. The text is kept; "
            "to continue, start again from its last part."
        )
    if finish == "time":
        return "The time limit for one text is reached. The text is kept; press Continue to resume."
    return f"{title} ended the text here." if finish == "end of text" else ""


class Frames:
    """Builds the two views' values for one run; remembers what was already sent."""

    def __init__(self, run: Run, tokenizer: Tokenizer, title: str, context: int, limit: int):
        self.run = run
        self._tokenizer = tokenizer
        self._title = title
        self._context = context
        # A continued run shows its earlier tokens already; a branch counts from its prompt, as the
        # text did that it was made of.
        self._before = run.prompt if run.branch and not run.read else len(run.ids)
        self._limit = limit + len(run.ids) - self._before
        self._sent = 0
        self._known = run.read  # rows of a continued run that were sent before
        self._fed = 0
        self._first: float | None = None
        self._speed: float | None = None
        self.ended = False

    @property
    def spare(self) -> float:
        """Seconds that its browser wants between two messages; none after the last."""
        return 0 if self.ended else self.run.spare

    def frame(self, events: Sequence[Event]) -> tuple[Value, Value]:
        """(Output value, Attention value) after `events`."""
        run = self.run
        state, sentence = "running", ""
        run.capture.add(self._fed, events)
        for event in events:
            if event.token is not None:
                if event.guess is not None:
                    run.guesses[len(run.ids)] = event.guess
                run.speed_up = event.speed_up or run.speed_up
                run.ids.append(event.token)
                self._first = self._first or event.seconds
            self._speed = event.tokens_per_second
            self._fed += event.fed
            run.read = max(run.read, self._fed)
            if event.finish:
                self.ended = True
                state = "stopped" if event.finish in ("stopped", "time") else "done"
                sentence = finish_sentence(event.finish, self._title, self._context)
        return self._output(state, sentence), self._attention()

    def _attention(self) -> Value:
        """The rows that came since the last frame; what is not at hand, the browser asks for."""
        run, start = self.run, self._known
        self._known = run.read
        view = run.view  # the browser may change it at any moment: one message, one map
        rows = map_rows(run.capture, view, start, run.read) if run.watched else None
        value = attention_value(run, view, start, pack_rows(rows or []))
        if rows and run.atlas:
            heads = run.capture.rows(start, run.read) or []
            value["atlas"] = encode_bytes(packed_rows(heads, value["bins"]))
        return value

    def failed(self, sentence: str) -> Value:
        """The Output value when the run broke: the text so far stays."""
        self.ended = True
        return self._output("error", sentence)

    def _output(self, state: str, sentence: str) -> Value:
        run, start = self.run, self._sent
        self._sent = len(run.ids)
        return {
            "run": run.id,
            "size": run.size,
            "start": start,
            "tokens": wire_tokens(self._tokenizer, run.ids[start:]),
            "guesses": wire_guesses(self._tokenizer, run, start),
            "draft": draft_numbers(run),
            "n": len(run.ids),
            "prompt": run.prompt,
            "full": len(run.ids) >= self._context,
            **making_value(run, self._tokenizer),
            "state": state,
            "note": sentence,
            "stats": {
                "new": len(run.ids) - self._before,
                "limit": self._limit,
                "speed": self._speed,
                "first": self._first,
                "seed": str(run.options.seed),  # a number of JavaScript's ends at 2^53
            },
        }


def sampling_value(options: SamplingOptions) -> Value:
    """What made a choice out of probabilities, apart from the seed."""
    return {
        "temperature": options.temperature,
        "top_k": options.top_k,
        "top_p": options.top_p,
    }


def making_value(run: Run, tokenizer: Tokenizer) -> Value:
    """How a text was made: its sampling, heads that were off, and which text it is a branch of."""
    branch = None
    if run.branch is not None:
        of, at, token = run.branch.of, run.branch.at, run.branch.token
        put = None if token is None else wire_tokens(tokenizer, [token])[0]
        branch = {"of": of, "at": at, "token": put}
    off = [list(head) for head in run.off]
    return {
        "sampling": sampling_value(run.options),
        "off": off,
        "instead": run.instead,
        "branch": branch,
    }


def whole_text(run: Run, tokenizer: Tokenizer, context: int, done: bool, sentence: str) -> Value:
    """The Output value that shows a text which nobody is writing."""
    stats = {"new": len(run.ids) - run.prompt, "limit": None, "speed": None, "first": None}
    return {
        "run": run.id,
        "size": run.size,
        "start": 0,
        "tokens": wire_tokens(tokenizer, run.ids),
        "guesses": wire_guesses(tokenizer, run, 0),
        "draft": draft_numbers(run),
        "n": len(run.ids),
        "prompt": run.prompt,
        "full": len(run.ids) >= context,
        **making_value(run, tokenizer),
        "state": "done" if done else "stopped",
        "note": sentence,
        "stats": stats | {"seed": str(run.options.seed)},
    }


def attention_value(run: Run, view: MapView, start: int, packed: bytes) -> Value:
    """Rows of one map, and how many rows there are in all."""
    return {
        "run": run.id,
        "layers": run.layers,
        "heads": run.heads,
        "view": view.as_value(),
        "start": start,
        "n": run.read,
        "rows": encode_bytes(packed),
        "bins": bins_for(run.layers * run.heads),
        "example": run.example,
    }
