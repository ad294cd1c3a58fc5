"""The calls for scripts: /compare and /score."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import gradio as gr

from gpt2.sampling import USUAL
from gpt2.ui.compare.comparison import Comparison
from gpt2.ui.compare.records import CompareStep, ScoreRecord
from gpt2.ui.compare.requested import checked_sizes, compared
from gpt2.ui.compare.surprise import Scoring
from gpt2.ui.session.api import shown_as, to_gradio_error
from gpt2.ui.session.requests import check_text
from gpt2.ui.session.runner import USER_ERRORS
from gpt2.ui.session.visitors import address_of


class CompareApi:
    """Endpoints over the same models and the same line as the page."""

    def __init__(self, comparison: Comparison, scoring: Scoring) -> None:
        self._comparison = comparison
        self._scoring = scoring

    @shown_as(CompareStep)
    def compare(
        self,
        prompt: str,
        sizes: list[str],
        temperature: float = USUAL.temperature,
        new_tokens: int = 120,
        top_k: int = USUAL.top_k,
        top_p: float = USUAL.top_p,
        seed: int = 0,
        caller: gr.Request | None = None,
    ) -> Iterator[CompareStep]:
        """Let two to four sizes of GPT-2 write side by side with the same random draws.

        Streams a record a step.

        Args:
            prompt: The text to go on from; may be empty, at most 100,000 characters.
            sizes: Two to four models: tiny, mini, distil, small, medium, large or xl.
            temperature: Randomness, from 0 (always the likeliest token) to 2. Default: 0.85.
            new_tokens: Tokens that each size writes at most, from 1 up; a size stops where its
                context (512 tokens for tiny and mini, else 1,024) is full. Default: 120.
            top_k: How many of the likeliest tokens may be drawn, from 0 up; 0 allows all. Default:
                0.
            top_p: Probability that the likeliest tokens allowed have together, above 0 to 1, which
                allows all. Default: 0.98.
            seed: Which random draws, a whole number from 0 to 2^63 - 1. Default: 0.

        Returns:
            {step, sizes: {name: {token, text, seconds, tokens_per_second, finish}}}, what one step
                brought each size; seconds count its own turns. The last record is for whoever reads
                no other: of each size {written, bits_per_byte}, its whole text and how surprised it
                is by the prompt, or {error}.
        """
        try:
            wanted = compared(prompt, sizes, temperature, new_tokens, top_k, top_p, seed)
            yield from self._comparison.records(wanted, address_of(caller))
        except USER_ERRORS as error:
            raise to_gradio_error(error) from error

    @shown_as(list[ScoreRecord])
    def score(self, text: str, sizes: list[str]) -> list[ScoreRecord]:
        """Measure how surprised one to four sizes of GPT-2 are by a text, token by token.

        Args:
            text: The text to score; not empty, at most as many tokens as the context (512 for tiny
                and mini, else 1,024).
            sizes: One to four models: tiny, mini, distil, small, medium, large or xl.

        Returns:
            For each size its tokens, bits (-log2 of each token's probability), total_bits, bytes of
                the text and bits_per_byte; or {size, error}.
        """
        try:
            text, names = check_text(text, "Text"), checked_sizes(sizes)
            if not text:
                raise ValueError("There is no text to score.")
            return self._scoring.records(text, names, threading.Event())
        except USER_ERRORS as error:
            raise to_gradio_error(error) from error
