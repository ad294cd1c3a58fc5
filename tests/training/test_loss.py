"""The loss in pieces and attention by formula are what autograd gives for the plain forms."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from gpt2.config import GPT2Config
from gpt2.model import GPT2Model
from gpt2.training.loss import attend_by_formula, backward
from gpt2.training.repeats import NOT_SCORED

CONFIG = GPT2Config(300, 32, 2, 16, 2, 300, dropout_rate=0.0)


def test_loss_and_gradients_are_those_of_the_whole_batch_at_once() -> None:
    torch.manual_seed(0)
    model = GPT2Model.from_config(CONFIG)
    ids = torch.randint(300, (3, 300))
    inputs, targets = ids[:, :-1], ids[:, 1:].clone()
    targets[1, :50] = NOT_SCORED
    found = backward(model, inputs, targets, attend_by_formula)
    gradients = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    model.zero_grad()
    expected = F.cross_entropy(model(inputs).flatten(0, 1), targets.flatten())
    expected.backward()
    assert abs(found - expected.item()) < 1e-3  # bfloat16 against float32
    assert len(gradients) == len(list(model.parameters()))
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None
        error = (gradients[name] - parameter.grad).norm() / (parameter.grad.norm() + 1e-8)
        assert error < 0.05 or name.endswith("c_attn.bias"), f"{name}: {error}"


def test_attention_by_formula_is_the_fused_kernels() -> None:
    q, k, v = torch.randn(3, 2, 4, 37, 16).unbind()
    expected = F.scaled_dot_product_attention(q, k, v, is_causal=True)
    torch.testing.assert_close(attend_by_formula(q, k, v, layer=0), expected)
