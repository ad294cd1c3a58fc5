"""What a comparison asks for, checked: the same controls as on the main tab, and several sizes."""

from __future__ import annotations

from dataclasses import replace

from gpt2.residency import Residency, cache_bytes
from gpt2.runtime.units import format_bytes
from gpt2.ui.session.requests import Request, at_most, checked
from gpt2.ui.session.sizes import config_of, offered, source_of, tokenizer_of, weights_bytes

MOST_SIZES = 4


def compared(
    prompt: object,
    sizes: object,
    temperature: object,
    new_tokens: object,
    top_k: object,
    top_p: object,
    seed: object,
    same_noise: bool = True,
) -> list[Request]:
    """One request for each size, in the order chosen; an empty seed draws one. Raises ValueError.

    With the same noise all have one seed; without, column k has the seed plus k, so that each can
    be repeated by itself.
    """
    names = checked_sizes(sizes, least=2)
    first = checked(prompt, names[0], temperature, 1, top_k, top_p, seed)
    return [
        replace(
            first,
            size=name,
            new_tokens=at_most(new_tokens, name),
            options=replace(
                first.options, seed=(first.options.seed + (0 if same_noise else k)) % 2**63
            ),
        )
        for k, name in enumerate(names)
    ]


def checked_sizes(sizes: object, least: int = 1) -> list[str]:
    """Names of offered models, in their order. Raises ValueError."""
    rule = f"Choose {least} to {MOST_SIZES} different sizes under Sizes"
    if not isinstance(sizes, list | tuple):
        raise ValueError(f"{rule}, from {', '.join(offered())}.")
    names = [source_of(name).name for name in sizes]
    if not least <= len(names) <= MOST_SIZES or len(set(names)) < len(names):
        raise ValueError(f"{rule}, not {', '.join(names) if names else 'none'}.")
    return names


def needs(requests: list[Request]) -> dict[str, int]:
    """Bytes of memory each size needs, weights and cache, by the name to show."""
    return {source_of(r.size).title: weights_bytes(r.size) + run_bytes(r) for r in requests}


def run_bytes(request: Request) -> int:
    """Bytes of the keys and values of one run."""
    config = config_of(request.size)
    tokens = len(tokenizer_of(request.size).encode(request.prompt)) + request.new_tokens
    return cache_bytes(config, min(tokens, config.max_seq_len))


def memory_line(requests: list[Request], residency: Residency) -> str:
    """What the chosen sizes need, said before anything is loaded."""
    sizes = needs(requests)
    each = " + ".join(f"{name} {format_bytes(size)}" for name, size in sizes.items())
    total, budget = sum(sizes.values()), residency.budget
    sentence = f"Memory: {each} = {format_bytes(total)} of {format_bytes(budget)} for models"
    return sentence if total <= budget else f"{sentence}: too much. Choose fewer or smaller sizes."
