"""The entries of **Model size**: the known sizes, and the model a Space's owner names."""

from __future__ import annotations

import os
from reprlib import repr as shortened

from gpt2.checkpoint import Source, find_source, is_cached, read_config
from gpt2.config import SIZES, GPT2Config

# A folder or a hub repository, offered below the known sizes.
OWN_MODEL_VARIABLE = "GPT2_MODEL"


def offered() -> list[str]:
    """Names in the order of the list."""
    own = os.environ.get(OWN_MODEL_VARIABLE)
    return [*SIZES, *([own] if own else [])]


def source_of(name: object) -> Source:
    """Where an offered model's files are. Raises ValueError for a model that is not offered.

    A visitor must not make the server read folders or fetch repositories of his choice.
    """
    if name not in offered():
        raise ValueError(
            f"Model size must be one of {', '.join(offered())}, not {shortened(name)}."
        )
    return find_source(str(name))


def config_of(name: str) -> GPT2Config:
    """The shape; for a repository not downloaded yet, GPT-2's usual one stands in."""
    if name in SIZES:
        return SIZES[name].config
    folder = source_of(name).folder
    return read_config(folder) if folder else GPT2Config()


def weights_bytes(name: str) -> int:
    """Memory the model needs in float32."""
    return config_of(name).num_parameters * 4


def label(name: str) -> str:
    """One line of the list: name, parameters, and what it costs to use it."""
    if name not in SIZES:
        return f"{name} · {'here' if is_cached(source_of(name)) else 'to download'}"
    size = SIZES[name]
    if size.built_in:
        cost = "built in"
    elif is_cached(find_source(name)):
        cost = "already here"
    else:
        cost = f"{size.download_bytes / 1e6:,.0f} MB to download"
    return f"{size.label} · {_parameters(size.config)} · {cost}"


def choices() -> list[tuple[str, str]]:
    """(label, name) pairs for the page's list."""
    return [(label(name), name) for name in offered()]


def _parameters(config: GPT2Config) -> str:
    millions = config.num_parameters / 1e6
    return f"{millions:.1f} M" if millions < 10 else f"{millions:.0f} M"
