"""Recorded blocks of a model that people go on to change compute what any other blocks would."""

from __future__ import annotations

import copy
import io
import pickle
import weakref
from collections.abc import Callable
from typing import Any
from unittest.mock import patch

import pytest
import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_pre_hook

from gpt2 import GPT2Config, GPT2Model
from gpt2.model.layer_norm import LayerNorm
from gpt2.precision import int8_model
from gpt2.precision.recorded import record_blocks

CONFIG = GPT2Config(300, 64, 2, 32, 2, 64, dropout_rate=0.5)
IDS = torch.arange(5)[None]
PRECISIONS: dict[str, Callable[[GPT2Model], GPT2Model]] = {
    "int8": int8_model,
    "unpacked": lambda model: model,
}


def plain() -> GPT2Model:
    torch.manual_seed(0)
    return GPT2Model.from_config(CONFIG).eval().requires_grad_(False)


@torch.inference_mode()
def run(model: GPT2Model) -> Tensor:
    torch.manual_seed(1)
    return model(IDS)


def replayed(model: GPT2Model) -> bool:
    """Whether no block calls its layer norms from Python."""
    norm = LayerNorm.forward
    with patch.object(LayerNorm, "forward", autospec=True, side_effect=norm) as called:
        run(model)
    return called.call_count == 1  # the last, in no block


@pytest.fixture(params=PRECISIONS)
def pair(request: pytest.FixtureRequest) -> tuple[GPT2Model, GPT2Model]:
    """One model without and with recorded blocks, which replay."""
    make = PRECISIONS[request.param]
    model, recorded = make(plain()), record_blocks(make(plain()))
    assert replayed(recorded) and not replayed(model)
    return model, recorded


@pytest.fixture
def recorded(pair: tuple[GPT2Model, GPT2Model]) -> GPT2Model:
    return pair[1]


def put_another_linear(model: GPT2Model) -> None:
    torch.manual_seed(2)
    model.h[0].mlp.c_fc = nn.Linear(64, 256)


def tripled(model: GPT2Model) -> dict[str, Tensor]:
    return {name: 3 * tensor for name, tensor in model.state_dict().items()}


CHANGES: dict[str, Callable[[GPT2Model], Any]] = {
    "hook": lambda m: m.h[0].mlp.c_fc.register_forward_hook(lambda part, inputs, y: 2 * y),
    "pre-hook": lambda m: m.h[1].attn.register_forward_pre_hook(lambda part, i: (2 * i[0], *i[1:])),
    "part": lambda m: setattr(m.h[0], "mlp", nn.Identity()),
    "part of a part": put_another_linear,
    "parameter": lambda m: setattr(m.h[0].ln_1, "weight", nn.Parameter(torch.arange(64.0))),
    "attribute": lambda m: setattr(m.h[1].ln_2, "epsilon", 10.0),
    "method": lambda m: setattr(m.h[1].mlp, "forward", lambda x: x),
    "numbers": lambda m: m.h[0].ln_1.weight.mul_(2),
    "loaded numbers": lambda m: m.load_state_dict(tripled(m)),
    "loaded tensors": lambda m: m.load_state_dict(tripled(m), assign=True),
    "training": lambda m: m.train(),
    "dropout in one place": lambda m: m.h[1].mlp.dropout.train(),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_changes_what_it_would_elsewhere(
    pair: tuple[GPT2Model, GPT2Model], change: str
) -> None:
    before = run(pair[1])
    for model in pair:
        CHANGES[change](model)
    one, other = map(run, pair)
    assert torch.equal(one, other)
    assert not torch.equal(before, other)


def test_a_hook_that_is_gone_costs_nothing(recorded: GPT2Model) -> None:
    hook = recorded.h[0].attn.c_proj.register_forward_hook(lambda *_: None)
    assert not replayed(recorded)
    hook.remove()
    assert replayed(recorded)


def test_a_hook_for_all_modules_sees_those_in_blocks(pair: tuple[GPT2Model, GPT2Model]) -> None:
    seen: list[list[type[nn.Module]]] = []
    for model in pair:
        seen.append([])
        hook = register_module_forward_pre_hook(lambda part, _: seen[-1].append(type(part)))
        run(model)
        hook.remove()
    one, other = seen
    assert one[3:] and len(one) == len(other)
    assert one.count(LayerNorm) == other.count(LayerNorm) == 5


def test_gradients_are_those_of_unrecorded_blocks() -> None:
    seen: list[nn.Module] = []
    pair = [model.requires_grad_(True) for model in (plain(), record_blocks(plain()))]
    for model in pair:
        model.h[1].ln_2.register_full_backward_hook(lambda part, *_: seen.append(part))
        model(IDS).square().sum().backward()
    assert seen == [model.h[1].ln_2 for model in pair]
    for one, other in zip(*(model.h.parameters() for model in pair), strict=True):
        assert one.grad.count_nonzero() and torch.equal(one.grad, other.grad)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16], ids=str)
def test_weights_can_get_another_type(dtype: torch.dtype) -> None:
    model, recorded = (model.to(dtype) for model in (plain(), record_blocks(plain())))
    one, other = run(model), run(recorded)
    assert one.dtype == other.dtype == dtype and torch.equal(one, other)


def saved(model: GPT2Model) -> GPT2Model:
    file = io.BytesIO()
    torch.save(model, file)
    file.seek(0)
    again: GPT2Model = torch.load(file, weights_only=False)
    return again


COPIES: dict[str, Callable[[GPT2Model], GPT2Model]] = {
    "copy": copy.deepcopy,
    "pickle": lambda model: pickle.loads(pickle.dumps(model)),
    "save": saved,
}


@pytest.mark.parametrize("how", COPIES)
@pytest.mark.filterwarnings("ignore:TypedStorage is deprecated:UserWarning")  # torch's own use
def test_a_copy_has_weights_of_its_own(recorded: GPT2Model, how: str) -> None:
    before = run(recorded)
    again = COPIES[how](recorded)
    assert torch.equal(run(again), before)
    again.h[0].ln_1.weight.mul_(2)
    assert torch.equal(run(recorded), before)
    assert not torch.equal(run(again), before)
    assert replayed(recorded)


def test_what_was_replaced_is_not_kept_in_memory(recorded: GPT2Model) -> None:
    replaced = weakref.ref(recorded.h[0].mlp)
    recorded.h[0].mlp = nn.Identity()
    run(recorded)
    assert replaced() is None
