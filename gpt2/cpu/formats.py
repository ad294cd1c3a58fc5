"""How weights lie in memory: four formats, one layout, made once and only read afterwards.

A matrix (outputs, inputs) is cut into blocks of 16 outputs by 32 inputs. The blocks of sixteen
outputs follow each other along the inputs, so a product reads them in one stretch:

    int8     16 scales (bfloat16) | 16 pairs of inputs x 16 outputs x 2 inputs, 1 byte each
    int4     16 scales (bfloat16) | 4 quads of pairs x 16 outputs x 2 inputs, 4 bits of each pair
    float16  32 inputs x 16 outputs, 2 bytes each
    float32  32 inputs x 16 outputs, 4 bytes each

Every output has a scale of its own for each group of 32 inputs. Two inputs of one output stand side
by side because processors multiply and add 16-bit numbers in pairs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.uint8]

OUTPUTS = 16  # in a block
GROUP = 32  # inputs in a block
TILE_KEYS = 32  # tokens whose keys lie channel by channel
_LEAST_SCALE = np.float32(2.0**-100)  # weights that small are zeros


@dataclass(frozen=True, slots=True)
class Format:
    """One precision: bytes of a block, of a pair of inputs, of a number of the key-value cache."""

    name: Literal["int8", "int4", "float16", "float32"]
    block_bytes: int
    weight_bytes: int  # of one weight; 0 where several share a byte
    cache_bytes: int

    @property
    def quantised(self) -> bool:
        return self.name in ("int8", "int4")

    @property
    def pair_bytes(self) -> int:
        """Of one pair of inputs of sixteen outputs."""
        return 32 if self.name == "int8" else 16

    @property
    def largest(self) -> int:
        """The largest whole number that stands for a weight."""
        return 127 if self.name == "int8" else 7

    def pairs_at_once(self, rows: int) -> int:
        """How far the inner loop of a product is unrolled: more, and its sums leave registers."""
        if self.name == "int8":
            return {1: 8, 2: 4}.get(rows, 2)
        return {1: 16, 2: 8}.get(rows, 4)


FORMATS: dict[str, Format] = {
    f.name: f
    for f in (
        Format("float32", 2048, 4, 4),
        Format("float16", 1024, 2, 2),
        Format("int8", 544, 1, 2),
        Format("int4", 288, 0, 2),
    )
}


def up(count: int, multiple: int) -> int:
    """The next multiple."""
    return -(-count // multiple) * multiple


def bfloat16_above(x: Floats) -> npt.NDArray[np.uint16]:
    """The smallest bfloat16 that is not below x >= 0."""
    bits = np.ascontiguousarray(x, np.float32).view(np.uint32)
    return ((bits + 0xFFFF) >> 16).astype(np.uint16)


def from_bfloat16(bits: npt.NDArray[np.uint16]) -> Floats:
    return (bits.astype(np.uint32) << 16).view(np.float32)


def pack(weights: Floats, kind: Format) -> Bytes:
    """The blocks of a matrix (outputs, inputs), both filled up with zeros: bytes in one stretch."""
    outputs, inputs = weights.shape
    tall, wide = up(outputs, OUTPUTS), up(inputs, GROUP)
    if (tall, wide) != weights.shape:
        weights = np.pad(weights, ((0, tall - outputs), (0, wide - inputs)))
    blocks = weights.reshape(tall // OUTPUTS, OUTPUTS, wide // GROUP, GROUP)
    if not kind.quantised:
        dtype = np.float16 if kind.name == "float16" else np.float32
        limit = np.finfo(dtype).max
        return _bytes(blocks.transpose(0, 2, 3, 1).clip(-limit, limit).astype(dtype))
    scales, whole = quantised(blocks, kind)  # (B, 16, G), (B, 16, G, 32)
    small = whole.astype(np.int8).view(np.int16)  # pairs, which move together: (B, 16, G, 16)
    pairs = np.ascontiguousarray(small.transpose(0, 2, 3, 1))  # (B, G, pair, output)
    if kind.name == "int8":
        packed: npt.NDArray[Any] = pairs.view(np.uint8)
    else:
        # Sixteen bits hold an output's number of four pairs, the first pair's lowest.
        nibbles = (pairs.view(np.int8) + np.int8(8)).astype(np.uint16)
        quads = nibbles.reshape(*pairs.shape[:2], 4, 4, OUTPUTS, 2)
        words = np.ascontiguousarray(quads[:, :, :, 0])
        for n in range(1, 4):
            words |= quads[:, :, :, n] << np.uint16(4 * n)
        packed = words.view(np.uint8)
    count = packed.shape[:2]
    out = np.empty((*count, kind.block_bytes), np.uint8)
    out[..., : 2 * OUTPUTS] = _bytes(scales.transpose(0, 2, 1)).reshape(*count, 2 * OUTPUTS)
    out[..., 2 * OUTPUTS :] = packed.reshape(*count, -1)
    return out.reshape(-1)


def quantised(blocks: Floats, kind: Format) -> tuple[npt.NDArray[np.uint16], Floats]:
    """Scales (..., ) as bfloat16 and whole numbers (..., 32) of groups of weights (..., 32)."""
    highest, lowest = blocks.max(-1), blocks.min(-1)
    if kind.name == "int8":
        scales = bfloat16_above(np.maximum(highest, -lowest) / 127)
        divisor = from_bfloat16(scales)
    else:
        # -8 to 7: the largest weight becomes -8, so its scale may be negative (as in llama.cpp).
        largest = np.where(highest > -lowest, highest, lowest)
        size = from_bfloat16(bfloat16_above(np.abs(largest) / 8))
        divisor = np.where(largest > 0, -size, size).astype(np.float32)
        scales = (divisor.view(np.uint32) >> 16).astype(np.uint16)
    nothing = np.abs(divisor) < _LEAST_SCALE
    scales[nothing] = 0
    factor = np.float32(1) / np.where(nothing, np.float32(1), divisor)
    whole: Floats = (blocks * factor[..., None]).astype(np.float32)
    np.rint(whole, out=whole)
    if kind.name == "int4":
        np.minimum(whole, np.float32(7), out=whole)
    return scales, whole


def unpack(packed: Bytes, kind: Format, outputs: int, inputs: int) -> Floats:
    """What the blocks stand for: (outputs, inputs), the inverse of `pack` but for its rounding."""
    tall, wide = up(outputs, OUTPUTS), up(inputs, GROUP)
    count = (tall // OUTPUTS, wide // GROUP)
    blocks = packed.reshape(*count, kind.block_bytes)
    if not kind.quantised:
        dtype: Any = np.float16 if kind.name == "float16" else np.float32
        numbers = blocks.view(dtype).reshape(*count, GROUP, OUTPUTS).astype(np.float32)
        exact: Floats = numbers.transpose(0, 3, 1, 2).reshape(tall, wide)[:outputs, :inputs]
        return exact
    scales = from_bfloat16(np.ascontiguousarray(blocks[..., : 2 * OUTPUTS]).view(np.uint16))
    whole = whole_numbers(blocks, kind) * scales.transpose(0, 2, 1)[..., None]
    return whole.astype(np.float32).reshape(tall, wide)[:outputs, :inputs]


def whole_numbers(blocks: Bytes, kind: Format) -> Floats:
    """Of blocks (B, G, bytes): (B, 16, G, 32)."""
    count = blocks.shape[:2]
    packed = np.ascontiguousarray(blocks[..., 2 * OUTPUTS :])
    if kind.name == "int8":
        pairs = packed.view(np.int8).reshape(*count, GROUP // 2, OUTPUTS, 2)
    else:
        quads = packed.view(np.uint16).reshape(*count, 4, 1, OUTPUTS, 2)
        shifts = (np.arange(4, dtype=np.uint16) * 4)[:, None, None]
        pairs = ((quads >> shifts) & 15).astype(np.int8) - np.int8(8)
        pairs = pairs.reshape(*count, GROUP // 2, OUTPUTS, 2)
    by_output = pairs.transpose(0, 3, 1, 2, 4).reshape(count[0], OUTPUTS, count[1], GROUP)
    return by_output.astype(np.float32)


def _bytes(array: npt.NDArray[Any]) -> Bytes:
    return np.ascontiguousarray(array).view(np.uint8).reshape(-1)
