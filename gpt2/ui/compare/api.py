"""The calls for scripts: /compare and /score."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import gradio as gr

from gpt2.sampling import USUAL
from gpt2.ui.api import shown_as, told
from gpt2.ui.compare.comparison import Comparison
from gpt2.ui.compare.records import CompareStep, ScoreRecord
from gpt2.ui.compare.surprise import Scoring
from gpt2.ui.compare.wish import checked_sizes, compared
from gpt2.ui.playground import TOLD
from gpt2.ui.requests import check_text
from gpt2.ui.visitors import address_of


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
        """Let two to four sizes write side by side with the same noise, token by token.

        Every record is one step: {step, sizes: {name: {token, text, seconds, tokens_per_second,
        finish}}}; a size that failed has {error}, and in the last record each has {bits_per_byte}
        of the prompt. Seconds count a size's own turns. The other fields are those of /generate.
        """
        try:
            wish = compared(prompt, sizes, temperature, new_tokens, top_k, top_p, seed)
            yield from self._comparison.records(wish, address_of(caller))
        except TOLD as error:
            raise told(error) from error

    @shown_as(list[ScoreRecord])
    def score(self, text: str, sizes: list[str]) -> list[ScoreRecord]:
        """How surprised one to four sizes are by `text`: bits (-log2 p) of each of its tokens.

        [{size, tokens: [T], bits: [T], total_bits, bytes, bits_per_byte}], or {size, error}.
        """
        try:
            text, names = check_text(text, "Text"), checked_sizes(sizes)
            if not text:
                raise ValueError("There is no text to score.")
            return self._scoring.records(text, names, threading.Event())
        except TOLD as error:
            raise told(error) from error
