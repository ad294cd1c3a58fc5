"""The calibrated probe: every head's role on random tokens repeated twice, whatever the text.

Random tokens mean nothing, so the only way to know the second half is to look at the first; a head
that scores high here copies, and does not merely guess well (Olsson et al. 2022).
"""

from __future__ import annotations

from dataclasses import fields

import numpy as np

from gpt2.engine import Engine, Weights
from gpt2.interpret.head_roles import Roles, measure

LENGTH = 50  # tokens, then the same again
SEEDS = 4


def probe(engine: Engine, length: int = LENGTH, seeds: int = SEEDS) -> Roles:
    """Mean scores (L, H) over `seeds` random texts of `length` tokens, each read twice in a row.

    Tokens are drawn without repetition, so each has exactly one earlier copy in the second half.
    Both numbers shrink to what context and vocabulary allow.
    """
    config = engine.config
    length = min(length, config.max_seq_len // 2, config.vocab_size - 1)
    runs = [_one(engine, length, seed) for seed in range(seeds)]
    names = [field.name for field in fields(Roles)[1:]]
    means = {name: np.mean([getattr(roles, name) for roles in runs], axis=0) for name in names}
    return Roles(repeats=runs[0].repeats, **means)


def whole_maps(engine: Engine, ids: list[int]) -> list[Weights]:
    """Every layer's weights (H, T, T) over `ids`. Raises ValueError when the text is too long."""
    config = engine.config
    shape = (config.num_heads, len(ids), len(ids))
    maps = [np.zeros(shape, np.float32) for _ in range(config.num_blocks)]

    def see(layer: int, first: int, rows: Weights, norms: Weights) -> None:
        _, fed, seen = rows.shape
        maps[layer][:, first : first + fed, :seen] = rows

    engine.read(ids, see)
    return maps


def _one(engine: Engine, length: int, seed: int) -> Roles:
    random = np.random.default_rng(seed)
    # The last id of the vocabulary is <|endoftext|>.
    half = random.choice(engine.config.vocab_size - 1, length, replace=False).tolist()
    ids = half + half
    layers = [measure(maps, ids) for maps in whole_maps(engine, ids)]
    names = [field.name for field in fields(Roles)[1:]]
    stacked = {name: np.stack([getattr(roles, name) for roles in layers]) for name in names}
    return Roles(repeats=layers[0].repeats, **stacked)
