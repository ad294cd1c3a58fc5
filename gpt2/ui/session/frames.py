"""What the page is told in words: how far a download is, why a text ends, what is wrong."""

from __future__ import annotations

from typing import Any

from gpt2.checkpoint import Progress
from gpt2.engine import Finish
from gpt2.sampling import SamplingOptions
from gpt2.ui.session.requests import field_of

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


def sampling_value(options: SamplingOptions) -> Value:
    """What made a choice out of probabilities, apart from the seed."""
    return {
        "temperature": options.temperature,
        "top_k": options.top_k,
        "top_p": options.top_p,
    }
