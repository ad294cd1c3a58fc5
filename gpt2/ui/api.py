"""The two calls for scripts: /generate and /attention, typed, through gradio_client or HTTP."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypedDict, TypeVar

import gradio as gr

from gpt2.sampling import USUAL
from gpt2.ui.playground import TOLD, Playground
from gpt2.ui.requests import OFF, check_text, checked, whole
from gpt2.ui.sizes import source_of
from gpt2.ui.visitors import address_of

F = TypeVar("F", bound=Callable[..., Any])


class Seen(TypedDict):
    """What one head reads: row i of the weights says how much token i read from tokens 0 to i."""

    tokens: list[str]
    weights: list[list[float]]


def shown_as(item: object) -> Callable[[F], F]:
    """The type of one answer, as clients and the API page show it.

    Gradio reads it from the annotation, and makes nothing of a string or of an Iterator.
    """

    def mark(call: F) -> F:
        call.__annotations__["return"] = item
        return call

    return mark


class Api:
    """Endpoints over the same models and the same line as the page."""

    def __init__(self, playground: Playground) -> None:
        self._playground = playground

    @shown_as(str)
    def generate(
        self,
        prompt: str,
        size: str = "tiny",
        temperature: float = USUAL.temperature,
        new_tokens: int = 120,
        top_k: int = USUAL.top_k,
        top_p: float = USUAL.top_p,
        seed: int = 0,
        draft_with: str = OFF,
        caller: gr.Request | None = None,
    ) -> Iterator[str]:
        """Stream the text GPT-2 writes after `prompt`: every item is the text so far.

        `size` is a name of Model size, `temperature` 0 (greedy) to 2, `new_tokens` 1 up to the
        context, `top_k` 0 (off) up, `top_p` above 0 to 1 (off), `seed` 0 to 2^63 - 1. `draft_with`
        names a smaller size of the same vocabulary that guesses ahead: the same text, token for
        token, sooner where `size` is large.
        """
        try:
            request = checked(prompt, size, temperature, new_tokens, top_k, top_p, seed, draft_with)
            yield from self._playground.texts(request, address_of(caller))
        except TOLD as error:
            raise told(error) from error

    @shown_as(Seen)
    def attention(self, size: str, text: str, layer: int, head: int) -> Seen:
        """What one head reads: {tokens: [T], weights: [[1], [2], ... [T]]}, lower triangle.

        `layer` and `head` count from 0; row i says how much token i read from tokens 0 to i.
        """
        try:
            text = check_text(text, "Text")
            layer = whole("Layer must be a whole number from 0 up", layer)
            head = whole("Head must be a whole number from 0 up", head)
            with self._playground.runner.engine(source_of(size).name) as engine:
                seen = engine.attention(text, layer, head)
        except TOLD as error:
            raise told(error) from error
        rows = [[round(float(w), 6) for w in row[: i + 1]] for i, row in enumerate(seen.weights)]
        return {"tokens": seen.tokens, "weights": rows}


def told(error: Exception) -> gr.Error:
    """What a script is told: the sentence, without a trace in the log."""
    return gr.Error(str(error), print_exception=False)
