"""What the built-in model writes and reads, asked directly: the page must show the same."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache

import torch

from gpt2.engine import Engine
from gpt2.loading import load
from gpt2.sampling import USUAL

PROMPT = "Once upon a time there was a little fox who lived"


@cache
def engine() -> Engine:
    return load("tiny")


@contextmanager
def one_thread() -> Iterator[None]:
    """The served page keeps the other cores busy."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def text_of(seed: int, new_tokens: int, prompt: str = PROMPT) -> str:
    """The whole text at the usual settings, prompt included."""
    with one_thread():
        return prompt + engine().complete(prompt, replace(USUAL, seed=seed), new_tokens)


def ids_of(seed: int, new_tokens: int, prompt: str = PROMPT) -> list[int]:
    """The same text's tokens, its own end included."""
    with one_thread():
        events = list(engine().stream(prompt, replace(USUAL, seed=seed), new_tokens))
    return [*engine().encode(prompt), *(e.token for e in events if e.token is not None)]
