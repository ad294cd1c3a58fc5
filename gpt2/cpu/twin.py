"""The compiled pass once more in plain NumPy: slow, short, and the same to the last bit.

This is the description of what `gpt2.cpu` computes. Each function stands for one of the compiled
loops, sums in the order that they sum in, and is compared with them bit for bit by
`tests/cpu/test_twin.py`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from gpt2.cpu.formats import GROUP, OUTPUTS, Floats, from_bfloat16, up, whole_numbers
from gpt2.cpu.packed import Packed
from gpt2.cpu.tiles import EXP_POLYNOMIAL

f4 = np.float32
ROUND = f4(12582912.0)  # 1.5 * 2^23: adding and taking it away rounds to a whole number


def fma(x: Floats, y: Floats, z: Floats) -> Floats:
    """x y + z rounded once, as processors do it.

    In float64 the product is exact and the sum nearly so. What it lost is told by Knuth's TwoSum; a
    sum that lost something is moved to the odd neighbour, so that rounding to float32 goes the way
    that the exact number would go (Boldo and Melquiond 2008).
    """
    product = x.astype(np.float64) * y.astype(np.float64)
    sum_ = np.asarray(product + z)
    part = sum_ - product
    lost = (product - (sum_ - part)) + (z - part)
    even = (sum_.view(np.int64) & 1) == 0
    towards = np.where(lost > 0, np.inf, -np.inf)
    odd: Floats = np.where((lost != 0) & even, np.nextafter(sum_, towards), sum_).astype(f4)
    return odd


def total(x: Floats) -> Floats:
    """Sums over the last axis in eight lanes, then the lanes in pairs."""
    lanes = x.reshape(*x.shape[:-1], -1, 8).cumsum(axis=-2, dtype=f4)[..., -1, :]
    a, b, c, d, e, f, g, h = np.moveaxis(lanes, -1, 0)
    result: Floats = ((a + e) + (c + g)) + ((b + f) + (d + h))
    return result


def layer_norm(x: Floats, weight: Floats, bias: Floats, epsilon: float) -> Floats:
    """Rows (T, C) to mean 0 and variance 1, then scaled."""
    width = x.shape[-1]

    def sum_(rows: Floats) -> Floats:
        return total(np.pad(rows, ((0, 0), (0, -width % 8))))[:, None]

    mean = sum_(x) / f4(width)
    centred = x - mean
    variance = sum_(centred * centred) / f4(width)
    factor = f4(1) / np.sqrt(variance + f4(epsilon))
    result: Floats = centred * factor * weight + bias
    return result


def quantise(x: Floats) -> tuple[npt.NDArray[np.int16], Floats]:
    """Rows (T, K) as 16-bit whole numbers times one scale a row (T, 1)."""
    most = np.maximum(np.abs(x).max(-1, keepdims=True), f4(1e-30))
    whole = (x * (f4(32767) / most) + ROUND) - ROUND
    return whole.astype(np.int16), most / f4(32767)


def exp(x: Floats) -> Floats:
    """e^x by Cephes' polynomial."""
    x = np.clip(x, f4(-87), f4(88))
    power = (x * f4(1.44269504) + ROUND) - ROUND
    rest = (x - power * f4(0.693359375)) - power * f4(-2.12194440e-4)
    sum_ = np.full_like(x, EXP_POLYNOMIAL[0])
    for coefficient in EXP_POLYNOMIAL[1:]:
        sum_ = sum_ * rest + f4(coefficient)
    sum_ = sum_ * rest * rest + rest + f4(1)
    scale = ((power.astype(np.int32) + 127) << 23).view(f4)
    result: Floats = sum_ * scale
    return result


def gelu(x: Floats) -> Floats:
    """The tanh form of GELU, as x / (1 + e^-2u)."""
    u = f4(1.5957691216057308) * (x + f4(0.044715) * x * x * x)
    result: Floats = x / (f4(1) + exp(-u))
    return result


def softmax(scores: Floats, scale: np.float32) -> Floats:
    """Of one query's scores (S,)."""
    weights = np.zeros(up(len(scores), 32), f4)
    weights[: len(scores)] = exp((scores - scores.max()) * scale)
    result: Floats = (weights * (f4(1) / total(weights)))[: len(scores)]
    return result


def product(packed: Packed, number: int, x: Floats) -> Floats:
    """Rows (T, K) times matrix `number`: (T, outputs), filled up to a multiple of 16."""
    offset, groups, blocks, outliers = (int(n) for n in packed.matrices[number])
    kind = packed.kind
    size = blocks * (groups + outliers) * kind.block_bytes
    stored = packed.blocks[offset : offset + size].reshape(blocks, groups + outliers, -1)
    x = np.pad(x, ((0, 0), (0, groups * GROUP - x.shape[1])))
    sums = np.zeros((len(x), blocks * OUTPUTS), f4)
    if not kind.quantised:
        dtype = np.float16 if kind.name == "float16" else np.float32
        weights = stored.view(dtype).reshape(blocks, -1, OUTPUTS).astype(f4)  # (B, K, 16)
        for k in range(groups * GROUP):
            sums = fma(x[:, k : k + 1], weights[:, k].reshape(1, -1), sums)
        return sums
    whole, row_scale = quantise(x)
    again = whole[:, packed.columns[number]]
    whole = np.concatenate([whole, *[again] * outliers], axis=1)
    weights = whole_numbers(stored, kind)  # (B, 16, G, 32)
    scales = np.ascontiguousarray(stored[..., : 2 * OUTPUTS]).view(np.uint16)  # (B, G, 16)
    for g in range(groups + outliers):
        inputs = whole[:, g * GROUP : (g + 1) * GROUP].astype(np.int64)
        exact = inputs @ weights[:, :, g].reshape(-1, GROUP).astype(np.int64).T
        scale = from_bfloat16(np.ascontiguousarray(scales[:, g])).reshape(1, -1)
        sums = fma(exact.astype(f4), scale, sums)
    return sums * row_scale


def attend(q: Floats, k: Floats, v: Floats, scale: np.float32) -> tuple[Floats, Floats]:
    """One head's newest query (D,) over keys and values (S, D): what it found, and its weights."""
    scores = np.zeros(len(k), f4)
    for d in range(len(q)):
        scores = fma(q[d : d + 1], k[:, d], scores)
    weights = softmax(scores, scale)
    found = np.zeros(len(q), f4)
    for weight, value in zip(weights, v, strict=True):
        found = fma(weight[None], value, found)
    return found, weights


def logits(packed: Packed, ids: Sequence[int]) -> Floats:
    """(T, V) after each of `ids`."""
    config, kind = packed.config, packed.kind
    width, heads, depth = config.embedding_dimension, config.num_heads, config.hidden_dimension
    inner = config.hidden_dimension_factor * width
    cached = f4 if kind.cache_bytes == 4 else np.float16

    def norm(x: Floats, number: int) -> Floats:
        weight, bias = packed.vector(number, width), packed.vector(number + 1, width)
        return layer_norm(x, weight, bias, config.layer_norm_epsilon)

    def linear(x: Floats, layer: int, matrix: int, outputs: int) -> Floats:
        bias = packed.vector(8 * layer + (2, 3, 6, 7)[matrix], outputs)
        result: Floats = product(packed, 4 * layer + matrix, x)[:, :outputs] + bias
        return result

    count = len(ids)
    x = packed.embedding[list(ids)].astype(f4) + packed.positions[:count]
    for layer in range(config.num_blocks):
        scale = f4(1 / np.sqrt(depth))
        qkv = linear(norm(x, 8 * layer), layer, 0, 3 * width)
        q, k, v = qkv.reshape(count, 3, heads, depth).transpose(1, 2, 0, 3)  # (H, T, D)
        k, v = k.astype(cached).astype(f4), v.astype(cached).astype(f4)
        mixed = np.empty((count, heads, depth), f4)
        for h in range(heads):
            for i in range(count):
                mixed[i, h], _ = attend(q[h, i], k[h, : i + 1], v[h, : i + 1], scale)
        x = x + linear(mixed.reshape(count, width), layer, 1, width)
        hidden = gelu(linear(norm(x, 8 * layer + 4), layer, 2, inner))
        x = x + linear(hidden, layer, 3, width)
    last = 8 * config.num_blocks
    x = norm(x, last)
    result = product(packed, 4 * config.num_blocks, x) + f4(0)
    if kind.name != "float32":
        mean = packed.vector(last + 2, width)
        shift = total(np.pad(x * mean, ((0, 0), (0, up(width, GROUP) - width))))
        result = result + shift[:, None]
    return result[:, : config.vocab_size]
