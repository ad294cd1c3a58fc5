"""What a visitor asked for, checked. Every complaint names the field, its range and what to do."""

from __future__ import annotations

import math
import secrets
from reprlib import repr as shortened
from dataclasses import dataclass

from gpt2.sampling import SamplingOptions
from gpt2.tokenizer import Tokenizer
from gpt2.ui.sizes import config_of, source_of

# No prompt of 1,024 tokens is near this long, and counting tokens of more would be slow.
MOST_CHARACTERS = 100_000


@dataclass(frozen=True, slots=True)
class Request:
    """A run somebody wants, every number in range."""

    prompt: str
    size: str
    new_tokens: int
    options: SamplingOptions


def checked(
    prompt: object,
    size: object,
    temperature: object,
    new_tokens: object,
    top_k: object,
    top_p: object,
    seed: object,
) -> Request:
    """The request in these fields; an empty seed draws one. Raises ValueError."""
    name = source_of(size).name
    text = check_text(prompt, "Prompt")
    most = config_of(name).max_seq_len - 1
    options = SamplingOptions(
        temperature=_number("Temperature", temperature),
        top_k=whole("Top-k", top_k),
        top_p=_number("Top-p", top_p),
        seed=secrets.randbelow(10_000) if seed in (None, "") else whole("Seed", seed),
    )
    count = whole("New tokens", new_tokens)
    if not 1 <= count <= most:
        raise ValueError(f"New tokens must be from 1 to {most:,}, not {count:,}.")
    return Request(text, name, count, options)


def check_text(text: object, field: str) -> str:
    """`text` if it is a text of bearable length. Raises ValueError."""
    if not isinstance(text, str):
        raise ValueError(f"{field} must be text.")
    if len(text) > MOST_CHARACTERS:
        raise ValueError(
            f"{field} has {len(text):,} characters; at most {MOST_CHARACTERS:,} can be read. "
            "Shorten it."
        )
    return text


def count_tokens(prompt: str, size: str) -> str:
    """The line under the prompt: how many tokens of how many."""
    config = config_of(source_of(size).name)
    if len(prompt) > MOST_CHARACTERS:
        return f"more than {config.max_seq_len:,} tokens: too long"
    count = len(Tokenizer(config.vocab_size).encode(prompt))
    over = count - config.max_seq_len + 1
    warning = f": {over:,} too many" if over > 0 else ""
    return f"{count:,} of {config.max_seq_len:,} tokens{warning}"


def whole(field: str, value: object) -> int:
    """`value` if it is a whole number that fits 64 bits. Raises ValueError."""
    number = value if isinstance(value, int) else _number(field, value)
    if isinstance(value, bool) or not abs(number) < 2**64 or number != int(number):
        raise ValueError(f"{field} must be a whole number, not {shortened(value)}.")
    return int(number)


def _number(field: str, value: object) -> float:
    # The first half of the condition also keeps out whole numbers that no float can hold.
    if isinstance(value, int | float) and abs(value) < 1e300 and not isinstance(value, bool):
        return float(value)
    raise ValueError(f"{field} must be a number, not {shortened(value)}.")
