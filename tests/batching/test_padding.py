"""How many rows make a row exact: found by trying, whatever the kernel."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from torch import Tensor, nn

from gpt2.batching.padding import row_multiple
from gpt2.model import GPT2Model
from tests.small import small_engine


def row_by_row(weight: Tensor, bias: Tensor | float, x: Tensor) -> Tensor:
    """A linear layer in which rows cannot touch each other."""
    return torch.cat([(row[..., None, :] * weight).sum(-1) for row in x.split(1)]) + bias


def exact_model() -> GPT2Model:
    model = small_engine().model
    for layer in model.modules():
        if isinstance(layer, nn.Linear):
            layer.forward = partial(row_by_row, layer.weight, layer.bias)
    model.wte.logits = partial(row_by_row, model.wte.weight, 0.0)
    return model


@pytest.mark.parametrize(("agrees_from", "expected"), [(1, 1), (2, 2), (3, 4), (5, 8), (99, 8)])
def test_the_smallest_multiple_that_agrees_is_found(agrees_from: int, expected: int) -> None:
    """A kernel whose last bits depend on the number of rows, up to `agrees_from` of them."""
    model = exact_model()

    def uneven(module: object, arguments: object, out: Tensor) -> Tensor:
        return out + out.size(0) * 1e-6 if out.size(0) < agrees_from else out

    model.h[0].mlp.c_fc.register_forward_hook(uneven)
    assert row_multiple(model, 8) == expected


@torch.inference_mode()
def test_rows_are_exact_at_the_multiple_that_was_found() -> None:
    model = small_engine().model
    multiple = row_multiple(model, 8)
    x = torch.randn(8, 1, 24)
    few, many = (model.h[0].mlp(model.h[0].ln_2(rows)) for rows in (x[:multiple], x))
    assert torch.equal(few, many[:multiple])
