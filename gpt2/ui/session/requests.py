"""What a visitor asked for, checked. Every complaint names the field, its range and what to do."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from reprlib import repr as shortened

from gpt2.checkpoint import CheckpointError
from gpt2.sampling import SamplingOptions
from gpt2.serving.incoming import readable
from gpt2.ui.session.sizes import config_of, drafts_for, source_of, tokenizer_of

# No prompt of 1,024 tokens is near this long, and counting tokens of more would be slow.
MOST_CHARACTERS = 100_000
OFF = "off"  # Draft with: no draft


# What a complaint begins with, and the element of the page that it is about.
_FIELDS = {
    "Prompt": "prompt",
    "The prompt": "prompt",
    "Model size": "size",
    "Temperature": "temperature",
    "New tokens": "new-tokens",
    "Top-k": "top-k",
    "Top-p": "top-p",
    "Seed": "seed",
    "Draft with": "draft",
}


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


def field_of(complaint: str) -> str | None:
    """The page's element that a complaint is about, where it names a field."""
    return next((field for words, field in _FIELDS.items() if complaint.startswith(words)), None)


def at_most(new_tokens: object, size: str) -> int:
    """`new_tokens`, or as many as `size` can write at most. Raises ValueError."""
    most = config_of(size).max_seq_len - 1
    count = whole(f"New tokens must be a whole number from 1 to {most:,}", new_tokens)
    if count < 1:
        raise ValueError(f"New tokens must be from 1 to {most:,}, not {count:,}.")
    return min(count, most)


def check_text(text: object, field: str) -> str:
    """`text`, fit to be encoded, if it is one of bearable length. Raises ValueError."""
    if not isinstance(text, str):
        raise ValueError(f"{field} must be text.")
    if len(text) > MOST_CHARACTERS:
        raise ValueError(
            f"{field} has {len(text):,} characters; at most {MOST_CHARACTERS:,} can be read. "
            "Shorten it."
        )
    return readable(text)


def count_tokens(prompt: str, size: str) -> str:
    """The line under the prompt: how many tokens of how many."""
    try:
        name = source_of(size).name
        config, tokenizer = config_of(name), tokenizer_of(name)
    except CheckpointError as error:
        return f"cannot be counted: {error}"
    if len(prompt) > MOST_CHARACTERS:
        return f"more than {config.max_seq_len:,} tokens: too long"
    count = len(tokenizer.encode(readable(prompt)))
    over = count - config.max_seq_len + 1
    if over > 0:
        most = config.max_seq_len - 1
        return (
            f"{count:,} tokens; this model takes at most {most:,} with one new token: "
            f"{over:,} too many"
        )
    return f"{count:,} of {config.max_seq_len:,} tokens"


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
