"""The calls for scripts that look inside: /tokens, /lens and /effects, in the page's queue."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, get_args

import gradio as gr

from gpt2.engine import Engine
from gpt2.interpret.as_json import Json, choices_as_json, effects_as_json, lens_as_json
from gpt2.interpret.effects import Instead
from gpt2.sampling import SamplingOptions
from gpt2.ui.session.api import NO_HEADS, heads_off, shown_as, to_gradio_error
from gpt2.ui.session.measurements import Measure, Measuring, measured
from gpt2.ui.session.playground import Playground
from gpt2.ui.session.requests import check_text, number, whole
from gpt2.ui.session.runner import USER_ERRORS
from gpt2.ui.session.sizes import source_of
from gpt2.ui.session.visitors import address_of

_COUNT = 20  # likeliest tokens of a place, at most: a text has a thousand places


class InspectApi:
    """Endpoints over the same models, the same line and the same limits as the page."""

    def __init__(self, playground: Playground) -> None:
        self._runner = playground.runner

    @shown_as(dict[str, Any])
    def tokens(
        self,
        text: str,
        size: str = "tiny",
        temperature: float = 1.0,
        top_k: int = 0,
        top_p: float = 1.0,
        count: int = 10,
        start_token: bool = True,
        off: list[list[int]] = NO_HEADS,
        caller: gr.Request | None = None,
    ) -> dict[str, Any]:
        """Show how likely each token of a text was, and the likeliest ones in its place.

        Args:
            text: The text to read, at most the context (512 tokens for tiny and mini, else 1,024).
            size: Which model reads: tiny, mini, distil, small, medium, large or xl. Default: tiny.
            temperature: Randomness, from 0 (always the likeliest token) to 2. Default: 1.0.
            top_k: How many of the likeliest tokens may be drawn, from 0 up; 0 allows all.
                Default: 0.
            top_p: Probability that the likeliest tokens allowed have together, above 0 to 1, which
                allows all. Default: 1.0.
            count: How many of the likeliest tokens to list at each place, from 1 to 20.
                Default: 10.
            start_token: Whether `<|endoftext|>` is put before the text, which changes what the
                model answers. Default: True.
            off: Attention heads to switch off, each as [layer, head], both counted from 0: [[9, 9]]
                is one head. Default: [].

        Returns:
            {units, start_token, precision, options, following, tokens: [{id, bytes, text, merges,
                band, probability, rank, surprisal, entropy, kept, rest_before, rest_after,
                likeliest: [{id, bytes, text, before, after, rank, cut}]}]}, with probabilities
                before temperature, top-k and top-p and after them. Without `start_token` the first
                token has none.
        """

        def measure(
            engine: Engine, stopped: Callable[[], bool], progress: Callable[[int, int], None]
        ) -> Json:
            found = engine.probabilities(text, options, listed, bool(start_token), heads)
            return choices_as_json(found, engine.tokenizer)

        try:
            check_text(text, "Text")
            heads = heads_off(off)
            k = whole("Top-k must be a whole number from 0 (off) up", top_k)
            options = SamplingOptions(
                number("Temperature must be a number from 0 to 2", temperature),
                k,
                number("Top-p must be a number above 0 and at most 1", top_p),
            )
            rule = f"Count must be a whole number from 1 to {_COUNT}"
            if not 1 <= (listed := whole(rule, count)) <= _COUNT:
                raise ValueError(f"{rule}, not {listed}.")
            *_, last = self._records(size, measure, caller)
        except USER_ERRORS as error:
            raise to_gradio_error(error) from error
        assert last["result"] is not None
        return last["result"]

    @shown_as(Measuring)
    def lens(
        self,
        text: str,
        size: str = "tiny",
        position: int = -1,
        whole_text: bool = False,
        start_token: bool = True,
        caller: gr.Request | None = None,
    ) -> Iterator[Measuring]:
        """Show what the model would say after a token if it ended at each layer (the logit lens).

        Args:
            text: The text to read, at most the context (512 tokens for tiny and mini, else 1,024).
            size: Which model reads: tiny, mini, distil, small, medium, large or xl. Default: tiny.
            position: After which token, counted from 0, or from the end where negative. With
                `start_token`, 0 is `<|endoftext|>`. Default: -1.
            whole_text: Whether to look after every token instead of one. Default: False.
            start_token: Whether `<|endoftext|>` is put before the text, which changes what the
                model answers. Default: True.

        Returns:
            {done, of, result}, again and again; the last one's result is {units, warning,
                precision, stages, deviation, positions: [{position, token, guess, probability,
                rank, final_probability, settled}]}.
        """

        def measure(
            engine: Engine, stopped: Callable[[], bool], progress: Callable[[int, int], None]
        ) -> Json:
            ids = engine.encode(text, new_tokens=0, start_token=bool(start_token))
            place = at + len(ids) if at < 0 else at
            places = None if whole_text else [place]
            found = engine.lens(ids, places, stopped=stopped, progress=progress)
            return lens_as_json(found, engine.tokenizer)

        try:
            check_text(text, "Text")
            at = whole("Position must be a whole number", position)
            yield from self._records(size, measure, caller)
        except USER_ERRORS as error:
            raise to_gradio_error(error) from error

    @shown_as(Measuring)
    def effects(
        self,
        text: str,
        size: str = "tiny",
        token: str = "",
        against: str = "",
        instead: str = "zero",
        everywhere: bool = True,
        start_token: bool = True,
        caller: gr.Request | None = None,
    ) -> Iterator[Measuring]:
        """Measure what each head does for the next token after a text, by switching it off.

        Args:
            text: The text to read, at most the context (512 tokens for tiny and mini, else 1,024).
            size: Which model reads: tiny, mini, distil, small, medium, large or xl. Default: tiny.
            token: The text of exactly one token to measure; empty for the likeliest.
                Default: empty.
            against: The text of exactly one token whose logit is taken away; empty for none.
                Default: empty.
            instead: What stands in for a head, one of zero, mean (over this text) and bias.
                Default: zero.
            everywhere: Whether a head is off at all tokens, otherwise at the last alone.
                Default: True.
            start_token: Whether `<|endoftext|>` is put before the text, which changes what the
                model answers. Default: True.

        Returns:
            {done, of, result}, again and again; the last one's result is {units, precision, token,
                against, logit, probability, logits, probabilities, joint_logit, joint_logits,
                sum_of_logits, control, measured}, arrays as [layer][head] from 0, null where the
                time ended before a head was measured.
        """

        def measure(
            engine: Engine, stopped: Callable[[], bool], progress: Callable[[int, int], None]
        ) -> Json:
            found = engine.effects(
                engine.encode(text, new_tokens=0, start_token=bool(start_token)),
                _token(engine, token),
                _token(engine, against),
                kind,
                everywhere=bool(everywhere),
                stopped=stopped,
                progress=progress,
            )
            return effects_as_json(found, engine.tokenizer)

        try:
            for each, field in ((text, "Text"), (token, "Token"), (against, "Against")):
                check_text(each, field)
            kind: Instead = next((name for name in get_args(Instead) if name == instead), "zero")
            if instead not in get_args(Instead):
                raise ValueError(f"Instead must be {', '.join(get_args(Instead))}.")
            yield from self._records(size, measure, caller)
        except USER_ERRORS as error:
            raise to_gradio_error(error) from error

    def _records(
        self, size: object, measure: Measure, caller: gr.Request | None
    ) -> Iterator[Measuring]:
        """Records of one measurement; the same again while there is no news, which is how a script
        that has left is noticed. Raises what `USER_ERRORS` lists."""
        yield from measured(self._runner, source_of(size).name, measure, address_of(caller))


def _token(engine: Engine, text: str) -> int | None:
    """The one token that a text is; None for an empty one. Raises ValueError."""
    if not text:
        return None
    ids = engine.tokenizer.encode(text)
    if len(ids) != 1:
        raise ValueError(f"A token is wanted here, and this text is {len(ids)}.")
    return ids[0]
