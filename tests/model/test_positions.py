"""Learned and sinusoidal positions."""

from __future__ import annotations

import math

import pytest
import torch

from gpt2.config import GPT2Config
from gpt2.model import GPT2Model, KVCache
from gpt2.model.gpt2 import PositionalEmbedding, sinusoidal_table


@pytest.mark.parametrize(("length", "width"), [(1024, 64), (50, 7), (3, 1), (1, 768)])
def test_waves_follow_the_formula(length: int, width: int) -> None:
    table = sinusoidal_table(length, width)
    assert table.shape == (length, width)
    for place in range(length):
        angles = [place / 10000 ** (2 * (c // 2) / width) for c in range(width)]
        waves = [math.cos(a) if c % 2 else math.sin(a) for c, a in enumerate(angles)]
        torch.testing.assert_close(table[place], torch.tensor(waves), atol=1e-4, rtol=0)


@pytest.mark.parametrize("kind", ["learned", "sinusoidal"])
def test_positions_are_counted_from_the_start_of_the_text(kind: str) -> None:
    embedding = PositionalEmbedding(GPT2Config(9, 4, 1, 4, 1, 9, positions=kind))
    embedding.weight.data.copy_(torch.arange(36.0).view(9, 4))  # fresh memory may hold NaN
    assert torch.equal(embedding(torch.arange(3, 8)), embedding.weight[3:8])
    assert torch.equal(embedding(torch.tensor([4, 0, 8])), embedding.weight[[4, 0, 8]])


def test_waves_are_selectable_and_no_part_of_the_checkpoint() -> None:
    model = GPT2Model(50, 12, 3, 4, 2, 16, positions="sinusoidal").eval()
    assert not [name for name in model.state_dict() if name.startswith("wpe")]
    assert sum(p.numel() for p in model.parameters()) == model.config.num_parameters
    ids = torch.arange(16)[None]
    cache = KVCache(model.config, 16)
    with torch.no_grad():
        pieces = torch.cat(
            [model(part, cache.positions(part.size(1)), cache) for part in ids.split([5, 11], 1)],
            dim=1,
        )
        torch.testing.assert_close(pieces, model(ids), atol=1e-5, rtol=0)


@pytest.mark.parametrize("positions", ["learned", "sinusoidal"])
def test_the_order_of_the_tokens_matters(positions: str) -> None:
    config = GPT2Config(50, 12, 3, 4, 2, 16, positions=positions)
    torch.manual_seed(0)
    model = GPT2Model.from_config(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_()
        one, other = model(torch.tensor([[1, 2, 3], [2, 1, 3]]))[:, -1]
    assert (one - other).abs().max() > 0.1
