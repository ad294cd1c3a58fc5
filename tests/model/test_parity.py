"""The model against transformers' GPT-2, an independent implementation, on the same weights."""

from __future__ import annotations

import gc
import math
from dataclasses import dataclass

import pytest
import torch

from gpt2.config import SIZES, GPT2Config
from tests.reference import (
    MASK,
    logits_and_maps,
    loss_of,
    ours,
    random_checkpoint,
    random_ids,
    theirs,
    turned,
)

LOGITS, MAPS, LOSS, GRADIENT = 1e-4, 1e-5, 1e-4, 1e-4

#                     V   C  H   D  L   S  factor
SHAPES = [
    GPT2Config(11, 5, 1, 5, 1, 4, 4),
    GPT2Config(257, 21, 3, 7, 2, 17, 4),
    GPT2Config(50, 7, 7, 1, 3, 9, 1),
    GPT2Config(101, 66, 2, 33, 5, 13, 3),
    GPT2Config(2, 15, 5, 3, 1, 31, 7),
    GPT2Config(64, 26, 13, 2, 8, 2, 4),
    GPT2Config(1000, 32, 4, 8, 12, 65, 4, layer_norm_epsilon=1e-2),
]


def shape_name(config: GPT2Config) -> str:
    return f"{config.num_blocks}x{config.num_heads}x{config.hidden_dimension}"


@dataclass(frozen=True)
class Differences:
    """Largest differences between the two models; gradient None where not taken.

    A gradient's is also measured against the largest number in its tensor, whichever is stricter.
    """

    logits: float
    maps: float
    loss: float
    gradient: float | None

    def within_limits(self) -> bool:
        pairs = [(self.logits, LOGITS), (self.maps, MAPS), (self.loss, LOSS)]
        if self.gradient is not None:
            pairs.append((self.gradient, GRADIENT))
        return all(difference <= limit for difference, limit in pairs)


def compare(config: GPT2Config, ids: torch.Tensor, gradients: bool = True) -> Differences:
    """Both models, the same random checkpoint, the same ids."""
    checkpoint = random_checkpoint(config)
    model, reference = ours(config, checkpoint), theirs(config, checkpoint)
    logits, maps = logits_and_maps(model, ids)
    with torch.no_grad():
        expected = reference(ids, output_attentions=True)
    assert len(maps) == len(expected.attentions) == config.num_blocks
    logit_difference = (logits - expected.logits).abs().max().item()
    map_difference = max(
        (a - b).abs().max().item() for a, b in zip(maps, expected.attentions, strict=True)
    )
    del logits, maps, expected
    with torch.set_grad_enabled(gradients):
        loss, expected_loss = loss_of(model, ids), reference(ids, labels=ids).loss
    gradient = None
    if gradients:
        loss.backward()
        expected_loss.backward()
        named = dict(reference.transformer.named_parameters())
        gradient = max(
            gradient_difference(p.grad, turned(name, named[name].grad))
            for name, p in model.named_parameters()
        )
    return Differences(logit_difference, map_difference, abs(loss - expected_loss).item(), gradient)


def gradient_difference(found: torch.Tensor, expected: torch.Tensor) -> float:
    largest = expected.abs().max().clamp(max=1)
    return ((found - expected).abs().max() / largest).item()


@pytest.mark.parametrize("config", SHAPES, ids=shape_name)
def test_parity_on_odd_shapes(config: GPT2Config) -> None:
    found = compare(config, random_ids(config, batch=3, length=config.max_seq_len))
    assert found.within_limits(), found


@pytest.mark.parametrize(
    ("size", "batch", "length", "gradients"),
    [
        ("small", 2, 48, True),
        pytest.param("small", 1, 1024, False, marks=pytest.mark.nightly),
        pytest.param("medium", 2, 48, True, marks=pytest.mark.nightly),
        pytest.param("large", 2, 48, False, marks=pytest.mark.slow),
        pytest.param("xl", 2, 48, False, marks=pytest.mark.slow),
    ],
)
@pytest.mark.timeout(900)
def test_parity_at_full_size(size: str, batch: int, length: int, gradients: bool) -> None:
    config = SIZES[size].config
    found = compare(config, random_ids(config, batch, length), gradients)
    gc.collect()
    gradient = "not taken" if found.gradient is None else f"{found.gradient:.1e}"
    print(
        f"\n| {config.num_parameters:,} | {batch} x {length} | {found.logits:.1e} "
        f"| {found.maps:.1e} | {found.loss:.1e} | {gradient} |"
    )
    assert found.within_limits(), found


def test_every_tensor_of_the_checkpoint_matters() -> None:
    """The comparison would notice a bias, a gain or a matrix that the model forgot."""
    config = SHAPES[1]
    checkpoint = random_checkpoint(config)
    ids = random_ids(config, batch=2, length=config.max_seq_len)
    whole, _ = logits_and_maps(ours(config, checkpoint), ids)
    for name, weight in checkpoint.items():
        if name.endswith(MASK):
            continue
        neutral = 1.0 if "ln_" in name and name.endswith("weight") else 0.0
        without = {**checkpoint, name: torch.full_like(weight, neutral)}
        logits, _ = logits_and_maps(ours(config, without), ids)
        assert (logits - whole).abs().max() > 100 * LOGITS, name


@pytest.mark.parametrize("config", [SHAPES[1], SHAPES[6]], ids=shape_name)
def test_the_compared_attention_is_far_from_uniform(config: GPT2Config) -> None:
    ids = random_ids(config, batch=2, length=config.max_seq_len)
    _, maps = logits_and_maps(ours(config, random_checkpoint(config)), ids)
    last_rows = torch.stack(maps)[..., -1, :]
    entropy = -(last_rows * last_rows.clamp_min(1e-30).log()).sum(-1)
    assert entropy.mean() < 0.85 * math.log(config.max_seq_len)


@pytest.mark.parametrize("config", [SHAPES[1], SHAPES[3]], ids=shape_name)
def test_greedy_text_is_theirs(config: GPT2Config) -> None:
    checkpoint = random_checkpoint(config)
    ids = random_ids(config, batch=3, length=4)
    new = config.max_seq_len - 4
    expected = theirs(config, checkpoint).generate(
        ids, attention_mask=torch.ones_like(ids), max_new_tokens=new, do_sample=False
    )
    assert torch.equal(ours(config, checkpoint).generate(ids, new, temperature=0), expected)
