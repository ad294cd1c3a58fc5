"""What the built-in model writes and reads, asked directly: the page must show the same."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import numpy as np
import numpy.typing as npt
import torch

from gpt2.engine import Engine, load
from gpt2.sampling import SamplingOptions

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
    """The whole text at temperature 0.8, prompt included."""
    with one_thread():
        return prompt + engine().complete(prompt, SamplingOptions(0.8, seed=seed), new_tokens)


def ids_of(seed: int, new_tokens: int, prompt: str = PROMPT) -> list[int]:
    """The same text's tokens, its own end included."""
    with one_thread():
        events = list(engine().stream(prompt, SamplingOptions(0.8, seed=seed), new_tokens))
    return [*engine().encode(prompt), *(e.token for e in events if e.token is not None)]


def levels_of(ids: list[int], layer: int) -> npt.NDArray[np.float64]:
    """255 times the square root of every weight of one layer: bytes before they are rounded."""
    rows = engine().attention_rows(ids, layer).astype(np.float64)
    return 255 * np.sqrt(np.clip(rows, 0, 1))
