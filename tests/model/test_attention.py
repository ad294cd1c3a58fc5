"""Who sees whom, and the two ways of computing it."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from gpt2.model import attention_weights, causal_attention, causal_mask


def random_heads(fed: int, attended: int) -> tuple[Tensor, Tensor, Tensor]:
    random = torch.Generator().manual_seed(fed + 100 * attended)
    q = 2 * torch.randn(2, 3, fed, 5, generator=random)
    k, v = torch.randn(2, 2, 3, attended, 5, generator=random)
    return q, k, v


SPANS = [(1, 1), (1, 7), (7, 7), (3, 7), (6, 7)]


@pytest.mark.parametrize(("fed", "attended"), SPANS)
def test_a_query_sees_itself_and_what_came_before(fed: int, attended: int) -> None:
    mask = causal_mask(fed, attended)
    for row in range(fed):
        place = attended - fed + row
        assert mask[row].tolist() == [column <= place for column in range(attended)]


@pytest.mark.parametrize(("fed", "attended"), SPANS)
def test_weights_are_the_masked_softmax_of_scaled_products(fed: int, attended: int) -> None:
    q, k, _ = random_heads(fed, attended)
    weights = attention_weights(q, k)
    for row in range(fed):
        seen = attended - fed + row + 1
        products = (k[1, 2, :seen] * q[1, 2, row]).sum(-1) / math.sqrt(5)
        expected = products.exp() / products.exp().sum()
        torch.testing.assert_close(weights[1, 2, row, :seen], expected)
        assert not weights[1, 2, row, seen:].any()


@pytest.mark.parametrize(("fed", "attended"), SPANS)
def test_fused_attention_equals_the_formula(fed: int, attended: int) -> None:
    q, k, v = random_heads(fed, attended)
    torch.testing.assert_close(causal_attention(q, k, v), attention_weights(q, k) @ v)


def test_scores_too_large_for_exp_still_give_weights() -> None:
    q, k, _ = random_heads(4, 4)
    weights = attention_weights(1e4 * q, k)
    assert weights.isfinite().all()
    torch.testing.assert_close(weights.sum(-1), torch.ones(2, 3, 4))


def test_dropout_takes_attention_weights_out_and_scales_the_rest_up() -> None:
    torch.manual_seed(0)
    q, k = torch.zeros(2, 1, 1, 200, 4)
    identity = torch.eye(200)[None, None]
    dropped = causal_attention(q, k, identity, dropout_rate=0.25)[0, 0]
    visible = causal_mask(200, 200)
    kept = dropped[visible] != 0
    assert 0.24 < 1 - kept.float().mean() < 0.26
    expected = attention_weights(q, k)[0, 0] / 0.75
    torch.testing.assert_close(dropped[visible][kept], expected[visible][kept])
