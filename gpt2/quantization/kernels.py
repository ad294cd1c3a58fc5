"""PyTorch's packed matrix products for CPUs, and plain operators where it has none, as on a GPU.

Of what stock torch offers these were the fastest: 12 layers of GPT-2's smallest shape, one row, are
in `python -m gpt2 bench`. In int8 a row has the same bits in any company.
"""

from __future__ import annotations

import warnings
from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from gpt2.apart import apart

# A packed matrix: an object of torch's where the kernel is there, plain tensors where not.
Packed = Any
_LARGE = 2**18  # weights
# Told that one row will come, oneDNN 3 lays float32 out for a kernel that is a fifth slower, at one
# row and at any other number of them; from two up all layouts are alike.
_ROWS = 8
_MOST_HALF = torch.finfo(torch.float16).max
# torch 2.13 announces the end of quantised tensors; a test fails when they are gone. For good, as
# `catch_warnings` in one thread undoes what others filter meanwhile.
warnings.filterwarnings("ignore", "torch.quantize_per_tensor", UserWarning)


@cache
@apart  # whoever asks must not be left with threads of PyTorch's
def has_int8_kernel() -> bool:
    """Whether torch multiplies 8-bit matrices here (x86 with AVX2 or better)."""
    try:
        most = torch.full((8, 8), 64, dtype=torch.int8)  # two of them are the most a pair may be
        y = _int8(torch.ones(1, 8), _pack_int8(most, torch.ones(8)), 1 / 255, 0)
        return y.round().tolist() == [[512.0] * 8]
    except (RuntimeError, AttributeError, NotImplementedError):
        return False


@cache
@apart  # whoever asks must not be left with threads of PyTorch's
def has_float32_kernel() -> bool:
    """Whether torch multiplies float32 rows by a packed float32 matrix here (oneDNN)."""
    try:
        packed = torch.ops.mkldnn._reorder_linear_weight(torch.eye(8), 1)
        return _float32(torch.ones(1, 8), packed, None).tolist() == [[1.0] * 8]
    except (RuntimeError, AttributeError, NotImplementedError):
        return False


@cache
@apart  # whoever asks must not be left with threads of PyTorch's
def has_float16_kernel() -> bool:
    """Whether torch multiplies float32 rows by a packed float16 matrix here (x86)."""
    try:
        packed = torch.ops.quantized.linear_prepack_fp16(torch.eye(8), None)
        return _float16(torch.ones(1, 8), packed).tolist() == [[1.0] * 8]
    except (RuntimeError, AttributeError, NotImplementedError):
        return False


def pack_int8(values: Tensor, scale: Tensor) -> Packed:
    """W = values * scale[:, None] from int8 (out, in) and (out,) for `int8_product`.

    Values of one sign in a pair (2k, 2k + 1) must not add up to more than 128: see `Int8Weights`.
    """
    return _pack_int8(values, scale) if has_int8_kernel() else (values, scale)


def int8_product(x: Tensor, packed: Packed, signed: bool) -> Tensor:
    """x W' for inputs in [-1, 1], or in [0, 1] where not `signed`: (..., in) to (..., out).

    Inputs are rounded to 127 levels on either side of 0, or to 255 above it.
    """
    levels, zero = (127, 128) if signed else (255, 0)
    if not isinstance(packed, tuple):
        return _int8(x, packed, 1 / levels, zero)
    values, scale = packed
    return F.linear((x * levels).round_(), values.float()).mul_(scale / levels)


def unpack_int8(packed: Packed) -> Tensor:
    """The int8 (out, in) that was packed."""
    if isinstance(packed, tuple):
        whole: Tensor = packed[0]
        return whole
    values: Tensor = torch.ops.quantized.linear_unpack(packed)[0].int_repr()
    return values


def pack_float32(weight: Tensor) -> Packed:
    """(out, in) for `float32_product`. Small ones stay: they are in a cache, and start sooner."""
    if weight.numel() >= _LARGE and weight.device.type == "cpu" and has_float32_kernel():
        return torch.ops.mkldnn._reorder_linear_weight(weight, _ROWS)
    return (weight,)


def float32_product(x: Tensor, packed: Packed, bias: Tensor | None) -> Tensor:
    """x W' + b: (..., in) to (..., out)."""
    if not isinstance(packed, tuple):
        return _float32(x, packed, bias)
    return F.linear(x, packed[0], bias)


def unpack_float32(packed: Packed) -> Tensor:
    """The weights (out, in) that were packed."""
    weight: Tensor = packed[0] if isinstance(packed, tuple) else packed.to_dense()
    return weight


def pack_float16(weight: Tensor, bias: Tensor | None) -> Packed:
    """(out, in) and (out,) for `float16_product`. Values beyond float16's range are clamped."""
    if weight.device.type == "cpu" and has_float16_kernel():
        return torch.ops.quantized.linear_prepack_fp16(weight, bias)
    return weight.clamp(-_MOST_HALF, _MOST_HALF).half(), bias


def float16_product(x: Tensor, packed: Packed) -> Tensor:
    """x W' + b in float32 from weights in float16: (..., in) to (..., out)."""
    if not isinstance(packed, tuple):
        return _float16(x, packed)
    weight, bias = packed
    if not x.is_cuda:
        return F.linear(x, weight.float(), bias)
    # A GPU multiplies float16 by float16. Sums and results are float32 still: GPT-2's logits lie
    # near -100, where the steps of 16 bits are too long.
    half = x.reshape(-1, x.size(-1)).half()
    if bias is None:
        y = torch.mm(half, weight.t(), out_dtype=torch.float32)
    else:
        y = torch.addmm(bias, half, weight.t(), out_dtype=torch.float32)
    return y.view(*x.shape[:-1], -1)


def unpack_float16(packed: Packed) -> Tensor:
    """The weights (out, in) that were packed, as float32."""
    if isinstance(packed, tuple):
        weight: Tensor = packed[0]
    else:
        weight = torch.ops.quantized.linear_unpack_fp16(packed)[0]
    return weight.float()


def _pack_int8(values: Tensor, scale: Tensor) -> Packed:
    if "x86" not in torch.backends.quantized.supported_engines:
        raise RuntimeError("torch has no x86 kernels here")
    torch.backends.quantized.engine = "x86"
    zeros = torch.zeros(len(scale), dtype=torch.int64)
    tensor = torch._make_per_channel_quantized_tensor(values, scale.double(), zeros, 0)
    return torch.ops.quantized.linear_prepack(tensor, None)


def _int8(x: Tensor, packed: Packed, scale: float, zero: int) -> Tensor:
    product = torch.ops.quantized.linear_with_input_q_dq_qweight_dq_output_fp32
    # It takes rows, not a row.
    y: Tensor = product(x if x.dim() > 1 else x[None], scale, zero, packed)
    return y if x.dim() > 1 else y[0]


def _float16(x: Tensor, packed: Packed) -> Tensor:
    y: Tensor = torch.ops.quantized.linear_dynamic_fp16(x if x.dim() > 1 else x[None], packed)
    return y if x.dim() > 1 else y[0]


def _float32(x: Tensor, packed: Packed, bias: Tensor | None) -> Tensor:
    y: Tensor = torch.ops.mkldnn._linear_pointwise(x, packed, bias, "none", [], "")
    return y
