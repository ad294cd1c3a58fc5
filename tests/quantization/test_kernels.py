"""Torch's int8 kernel adds exactly what it may be given."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gpt2.quantization import quantize
from gpt2.quantization.kernels import int8_product, pack_int8


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from([8, 63, 64, 130, 768]),
    st.integers(1, 20),
    st.integers(0, 2**31),
    st.booleans(),
    st.booleans(),
)
def test_no_sum_is_cut_off(width: int, rows: int, seed: int, signed: bool, extreme: bool) -> None:
    """CPUs without VNNI add two products up in 16 bits: with weights of 127 beside 127 this fails
    there."""
    random = torch.Generator().manual_seed(seed)
    weight = torch.randn(24, width, generator=random)
    x = torch.rand(rows, width, generator=random) * 2 - 1
    if extreme:  # inputs and weights as large as they get, in long runs of one sign
        weight, x = weight[:, :1].sign().expand(24, width), x[:, :1].sign().expand(rows, width)
    x = x if signed else x.abs()
    values = quantize(weight, torch.ones(1, width)).values
    found = int8_product(x, pack_int8(values, torch.ones(24)), signed)
    levels = 127 if signed else 255
    exact = (x * levels).round().double() @ values.double().t() / levels
    # A tie may go either way: that is one step of one input.
    torch.testing.assert_close(found.double(), exact, rtol=1e-5, atol=1.0 if not extreme else 1e-2)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from([2, 7, 64]), st.integers(0, 2**31), st.floats(-3, 3))
def test_no_pair_of_one_sign_is_more_than_a_kernel_can_add(
    width: int, seed: int, offset: float
) -> None:
    weight = torch.randn(40, width, generator=torch.Generator().manual_seed(seed)) + offset
    values = quantize(weight, torch.ones(1, width)).values.int()
    pairs = torch.nn.functional.pad(values, (0, width % 2)).view(40, -1, 2)
    assert pairs.clamp(min=0).sum(2).max() <= 128
    assert pairs.clamp(max=0).sum(2).min() >= -128
    assert max(values.abs().max(), pairs.sum(2).abs().max()) >= 127
