"""Precisions: float32 is the model as it was loaded, and other names are refused."""

from __future__ import annotations

import pytest
import torch

from gpt2.precision import PRECISIONS, with_precision
from tests.small import small_engine


def test_float32_is_the_model_as_loaded() -> None:
    model = small_engine().model
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    same = with_precision(model, "float32")
    assert same is model
    assert all(torch.equal(tensor, before[name]) for name, tensor in same.state_dict().items())
    assert {parameter.dtype for parameter in same.parameters()} == {torch.float32}


def test_an_unknown_precision_lists_the_known_ones() -> None:
    with pytest.raises(ValueError, match=f"one of {', '.join(PRECISIONS)}, not 'float99'"):
        with_precision(small_engine().model, "float99")
