"""The calls for scripts and agents, typed and described: /generate and /attention are here.

`add_call` makes a call of a method. What its docstring says below `Args:` is shown on the API page,
by `gradio_client`, in openapi.json and to agents.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from inspect import cleandoc
from reprlib import repr as shortened
from typing import Any, TypedDict, TypeVar, cast

import gradio as gr
from gradio.events import api as gradio_api  # gr.api, under the name that type checkers see
from gradio.utils import get_function_description

from gpt2.inference.executor import Head
from gpt2.sampling import USUAL
from gpt2.ui.session.playground import Playground
from gpt2.ui.session.requests import OFF, check_text, checked, whole
from gpt2.ui.session.runner import USER_ERRORS
from gpt2.ui.session.sizes import source_of
from gpt2.ui.session.visitors import address_of

F = TypeVar("F", bound=Callable[..., Any])
NO_HEADS: list[list[int]] = []  # switched off


class Seen(TypedDict):
    """What one head reads: row i of the weights says how much token i read from tokens 0 to i."""

    tokens: list[str]
    weights: list[list[float]]


def shown_as(item: object) -> Callable[[F], F]:
    """The type of one answer, as clients and the API page show it.

    Gradio reads it from the annotation, and makes nothing of a string or of an Iterator. Of what
    the docstring says of a parameter it takes the first line, so each is made one.
    """

    def mark(call: F) -> F:
        call.__annotations__["return"] = item
        call.__doc__ = _unfolded(call.__doc__ or "")
        return call

    return mark


def _unfolded(docstring: str) -> str:
    """`docstring` with each entry below `Args:` and `Returns:` in one line."""
    lines: list[str] = []
    for line in cleandoc(docstring).split("\n"):
        if line.startswith(" " * 8):
            lines[-1] += f" {line.strip()}"
        else:
            lines.append(line)
    return "\n".join(lines)


def add_call(page: gr.Blocks, call: Callable[..., Any], name: str, **how: Any) -> None:
    """Offer `call` as /`name` on `page`, which is being built; `how` it is queued is Gradio's.

    Gradio itself makes of a docstring only the description of the whole, but for agents.
    """
    made = cast(Any, gradio_api)(call, api_name=name, **how)
    fn = page.fns[made["id"]]
    _, described, answers = get_function_description(call)
    for component, (parameter, about) in zip(fn.inputs, described.items(), strict=False):
        # The page reads the one key, openapi.json the other.
        _describe(component, parameter, description=about, additional_description=about)
    for component in fn.outputs:
        _describe(component, "answer", description=" ".join(answers))


def _describe(component: object, label: str, **words: str) -> None:
    api: Any = component
    api.label = label
    api._api_info = {**api._api_info, **words}


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
        off: list[list[int]] = NO_HEADS,
        caller: gr.Request | None = None,
    ) -> Iterator[str]:
        """Let a GPT-2 go on from a text, and stream what it writes.

        The same seed and settings write the same text, whoever else is using the server.

        Args:
            prompt: The text to go on from; may be empty, at most 100,000 characters.
            size: Which model writes: tiny, mini, distil, small, medium, large or xl. Default: tiny.
            temperature: Randomness, from 0 (always the likeliest token) to 2. Default: 0.85.
            new_tokens: Tokens to write at most, from 1 to the context less 1 (511 for tiny and
                mini, else 1,023). Default: 120.
            top_k: How many of the likeliest tokens may be drawn, from 0 up; 0 allows all. Default:
                0.
            top_p: Probability that the likeliest tokens allowed have together, above 0 to 1, which
                allows all. Default: 0.98.
            seed: Which random draws, a whole number from 0 to 2^63 - 1. Default: 0.
            draft_with: A smaller size of the same vocabulary that guesses ahead: the same text,
                sooner where size is large; or off. Default: off.
            off: Attention heads to switch off for prompt and text, each as [layer, head], both
                counted from 0: [[9, 9]] is one head. Same seed, same draws: what differs comes from
                the heads. Default: [].

        Returns:
            The text so far, without the prompt, again and again; the last one is whole.
        """
        try:
            request = checked(prompt, size, temperature, new_tokens, top_k, top_p, seed, draft_with)
            yield from self._playground.texts(request, address_of(caller), heads_off(off))
        except USER_ERRORS as error:
            raise to_gradio_error(error) from error

    @shown_as(Seen)
    def attention(self, size: str, text: str, layer: int, head: int) -> Seen:
        """Show how much each token of a text reads from the ones before it, in one attention head.

        Args:
            size: Which model reads: tiny, mini, distil, small, medium, large or xl.
            text: The text to read, from 1 token to the context (512 tokens for tiny and mini, else
                1,024).
            layer: The layer, counted from 0: up to 5 for tiny, mini and distil, 11 small, 23
                medium, 35 large, 47 xl.
            head: The head in that layer, counted from 0: up to 3 for tiny, 5 mini, 11 distil and
                small, 15 medium, 19 large, 24 xl.

        Returns:
            The tokens, and a row of weights for each: how much it reads from the tokens up to
                itself, as shares that sum to 1.
        """
        try:
            text = check_text(text, "Text")
            layer = whole("Layer must be a whole number from 0 up", layer)
            head = whole("Head must be a whole number from 0 up", head)
            with self._playground.runner.engine(source_of(size).name) as engine:
                seen = engine.attention(text, layer, head)
        except USER_ERRORS as error:
            raise to_gradio_error(error) from error
        rows = [[round(float(w), 6) for w in row[: i + 1]] for i, row in enumerate(seen.weights)]
        return {"tokens": seen.tokens, "weights": rows}


def heads_off(off: object) -> tuple[Head, ...]:
    """Heads as (layer, head), in order and once each. Raises ValueError for what are no pairs.

    Whether a model has them, the model says.
    """
    pairs = NO_HEADS if off is None else off
    rule = "Off must be pairs of layer and head, both counted from 0, such as [[9, 9]]"
    if not isinstance(pairs, list) or not all(isinstance(p, list) and len(p) == 2 for p in pairs):
        raise ValueError(f"{rule}, not {shortened(off)}.")
    return tuple(sorted({(whole(rule, layer), whole(rule, head)) for layer, head in pairs}))


def to_gradio_error(error: Exception) -> gr.Error:
    """What a script is told: the sentence, without a trace in the log."""
    return gr.Error(str(error), print_exception=False)
