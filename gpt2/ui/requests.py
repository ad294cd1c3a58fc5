"""What a visitor asked for, checked. Every complaint names the field, its range and what to do."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from functools import cache
from reprlib import repr as shortened

from gpt2.config import GPT2Config
from gpt2.sampling import SamplingOptions
from gpt2.tokenizer import Tokenizer
from gpt2.ui.sizes import config_of, drafts_for, source_of

# No prompt of 1,024 tokens is near this long, and counting tokens of more would be slow.
MOST_CHARACTERS = 100_000
OFF = "off"  # Draft with: no draft

tokenizer_of = cache(Tokenizer)  # building one takes longer than counting a prompt


@dataclass(frozen=True, slots=True)
class Request:
    """A run somebody wants, every number in range."""

    prompt: str
    size: str
    new_tokens: int
    options: SamplingOptions
    draft: str | None = None  # the size that guesses ahead, if any


def checked(
    prompt: object,
    size: object,
    temperature: object,
    new_tokens: object,
    top_k: object,
    top_p: object,
    seed: object,
    draft_with: object = OFF,
) -> Request:
    """The request in these fields; an empty seed draws one. Raises ValueError."""
    name = source_of(size).name
    text = check_text(prompt, "Prompt")
    most = config_of(name).max_seq_len - 1
    options = SamplingOptions(
        temperature=number("Temperature must be a number from 0 to 2", temperature),
        top_k=whole("Top-k must be a whole number from 0 (off) up", top_k),
        top_p=number("Top-p must be a number above 0 and at most 1", top_p),
        seed=_seed(seed),
    )
    count = whole(f"New tokens must be a whole number from 1 to {most:,}", new_tokens)
    if not 1 <= count <= most:
        raise ValueError(f"New tokens must be from 1 to {most:,}, not {count:,}.")
    return Request(text, name, count, options, _draft(draft_with, name))


def at_most(new_tokens: object, size: str) -> int:
    """`new_tokens`, or as many as `size` can write at most. Raises ValueError."""
    most = config_of(size).max_seq_len - 1
    count = whole(f"New tokens must be a whole number from 1 to {most:,}", new_tokens)
    if count < 1:
        raise ValueError(f"New tokens must be from 1 to {most:,}, not {count:,}.")
    return min(count, most)


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
    count = tokens_in(prompt, config)
    over = count - config.max_seq_len + 1
    warning = f": {over:,} too many" if over > 0 else ""
    return f"{count:,} of {config.max_seq_len:,} tokens{warning}"


def tokens_in(text: str, config: GPT2Config) -> int:
    """How many tokens a model of this vocabulary makes of `text`."""
    return len(tokenizer_of(config.vocab_size).encode(text))


def whole(rule: str, value: object) -> int:
    """`value` as a whole number; 3.0 is one. Raises ValueError that begins with `rule`."""
    found = value if isinstance(value, int) else number(rule, value)
    if isinstance(value, bool) or found != int(found):
        raise ValueError(f"{rule}, not {shortened(value)}.")
    return int(found)


def _draft(value: object, size: str) -> str | None:
    if value is None or value in ("", OFF):
        return None
    able = drafts_for(size)
    if value in able:
        return str(value)
    sizes = ", ".join([OFF, *able])
    raise ValueError(
        f"Draft with must be {sizes} for {size}: a smaller size of the same vocabulary, "
        f"not {shortened(value)}."
        if able
        else f"Draft with must be {OFF} for {size}: no smaller size has its vocabulary."
    )


def _seed(value: object) -> int:
    """A whole number, also as text; nothing at all draws one that is easy to read and to type."""
    if value is None or value == "":
        return secrets.randbelow(10_000)
    if isinstance(value, str) and value.strip().isdecimal() and len(value) < 25:
        value = int(value)
    return whole("Seed must be a whole number from 0 to 2^63 - 1", value)


def number(rule: str, value: object) -> float:
    """`value` as a finite number. Raises ValueError that begins with `rule`."""
    # The bound keeps out infinity, NaN, and whole numbers that no float can hold.
    if isinstance(value, int | float) and abs(value) < 1e100 and not isinstance(value, bool):
        return float(value)
    given = "; it is empty" if value is None or value == "" else f", not {shortened(value)}"
    raise ValueError(f"{rule}{given}.")
