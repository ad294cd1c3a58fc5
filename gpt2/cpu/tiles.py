"""The inner loops, spelled in LLVM's instructions because everything else waits for them.

Numba compiles loops; these it would not compile well enough: products of a few rows with sixteen
outputs, a query against 32 keys, weights against values, exp over a row. Each `build_*` function
adds one function to an LLVM module. They are written with vectors of `lanes` numbers, 16 where the
CPU has AVX-512 and 8 elsewhere; LLVM cuts a vector that is too wide for the CPU into pieces, so the
same text serves every processor and gives the same bits on all of them: integers are summed
exactly, and floats in an order that is written down here and in `gpt2.cpu.twin`.

All arguments are 64-bit integers: addresses, byte strides and counts. The layout of the weights is
drawn in this folder's DETAILS.md and made by `gpt2.cpu.formats`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from llvmlite import ir

from gpt2.cpu.formats import GROUP, OUTPUTS, TILE_KEYS, Format
from gpt2.cpu.layout import ADD, GELU, SHIFT, STORE

I8, I16, I32, I64 = (ir.IntType(bits) for bits in (8, 16, 32, 64))
F16, F32 = ir.HalfType(), ir.FloatType()

# Bytes ahead of the block in work that are asked of memory: two blocks of int8.
PREFETCH = 1088


@dataclass(frozen=True, slots=True)
class Target:
    """A processor, as LLVM names it, and what the loops make of it."""

    cpu: str
    features: str

    def has(self, feature: str) -> bool:
        return f"+{feature}" in self.features.split(",")

    @property
    def lanes(self) -> int:
        """Numbers in a vector."""
        return 16 if self.has("avx512bw") else 8

    @property
    def most_rows(self) -> int:
        """Rows of the largest tile: as many as registers hold sums for."""
        return 12 if self.lanes == 16 else 6

    @property
    def most_queries(self) -> int:
        """Queries that share a reading of keys and values."""
        return 8 if self.lanes == 16 else 2


class Builder:
    """LLVM's builder with the few words that the loops below are made of."""

    def __init__(self, module: ir.Module, name: str, arguments: int, target: Target) -> None:
        signature = ir.FunctionType(ir.VoidType(), [I64] * arguments)
        self.function = ir.Function(module, signature, name)
        self.function.attributes.add("noinline")
        self.function.attributes.add("nounwind")
        self.lanes = target.lanes
        self.native_half = target.has("f16c") or target.has("fullfp16")
        self.b = ir.IRBuilder(self.function.append_basic_block("entry"))

    @property
    def arguments(self) -> Sequence[Any]:
        arguments: Sequence[Any] = self.function.args
        return arguments

    def vector(self, element: Any, lanes: int | None = None) -> Any:
        return ir.VectorType(element, lanes or self.lanes)

    def constant(self, element: Any, value: float, lanes: int | None = None) -> Any:
        count = lanes or self.lanes
        if element is F32:
            value = float(np.float32(value))
        return ir.Constant(ir.VectorType(element, count), [value] * count)

    def offset(self, address: Any, count: Any, size: int = 1) -> Any:
        """`address` plus `count` things of `size` bytes."""
        if isinstance(count, int):
            return self.b.add(address, I64(count * size)) if count else address
        return self.b.add(address, self.b.mul(count, I64(size)) if size != 1 else count)

    def load(self, address: Any, kind: Any) -> Any:
        value = self.b.load(self.b.inttoptr(address, kind.as_pointer()))
        value.align = 1
        return value

    def store(self, value: Any, address: Any) -> None:
        self.b.store(value, self.b.inttoptr(address, value.type.as_pointer())).align = 1

    def splat(self, scalar: Any, lanes: int | None = None) -> Any:
        """One number in every lane."""
        count = lanes or self.lanes
        nothing = ir.Constant(ir.VectorType(scalar.type, count), ir.Undefined)
        first = self.b.insert_element(nothing, scalar, I32(0))
        return self.b.shuffle_vector(
            first, nothing, ir.Constant(self.vector(I32, count), [0] * count)
        )

    def call(self, name: str, result: Any, arguments: Sequence[Any]) -> Any:
        module = self.b.module
        function = module.globals.get(name) or ir.Function(
            module, ir.FunctionType(result, [a.type for a in arguments]), name
        )
        return self.b.call(function, arguments)

    def fma(self, x: Any, y: Any, z: Any) -> Any:
        """x y + z, rounded once."""
        return self.call(f"llvm.fma.v{x.type.count}f32", x.type, [x, y, z])

    def prefetch(self, address: Any) -> None:
        pointer = self.b.inttoptr(address, I8.as_pointer())
        self.call("llvm.prefetch.p0", ir.VoidType(), [pointer, I32(0), I32(3), I32(1)])

    def loop(
        self, count: Any, carried: Sequence[Any], body: Callable[..., Sequence[Any]]
    ) -> list[Any]:
        """`carried = body(i, *carried)` for i below `count`, at least once; what it ends as."""
        before = self.b.block
        inside = self.function.append_basic_block("loop")
        after = self.function.append_basic_block("after")
        self.b.branch(inside)
        self.b.position_at_end(inside)
        index = self.b.phi(I64)
        index.add_incoming(I64(0), before)
        values = []
        for start in carried:
            value = self.b.phi(start.type)
            value.add_incoming(start, before)
            values.append(value)
        ends = list(body(index, *values))
        following = self.b.add(index, I64(1))
        last = self.b.block
        index.add_incoming(following, last)
        for value, end in zip(values, ends, strict=True):
            value.add_incoming(end, last)
        limit = I64(count) if isinstance(count, int) else count
        self.b.cbranch(self.b.icmp_signed("<", following, limit), inside, after)
        self.b.position_at_end(after)
        return ends

    def exp(self, x: Any) -> Any:
        """e^x by Cephes' polynomial: only sums, products and bits, so the same anywhere."""
        b, n = self.b, x.type.count

        def c(value: float) -> Any:
            return self.constant(F32, value, n)

        x = b.select(b.fcmp_ordered(">", x, c(-87.0)), x, c(-87.0))
        x = b.select(b.fcmp_ordered("<", x, c(88.0)), x, c(88.0))
        # Adding and taking away 1.5 * 2^23 rounds to a whole number.
        power = b.fsub(b.fadd(b.fmul(x, c(1.44269504)), c(12582912.0)), c(12582912.0))
        rest = b.fsub(b.fsub(x, b.fmul(power, c(0.693359375))), b.fmul(power, c(-2.12194440e-4)))
        sum_ = c(EXP_POLYNOMIAL[0])
        for coefficient in EXP_POLYNOMIAL[1:]:
            sum_ = b.fadd(b.fmul(sum_, rest), c(coefficient))
        sum_ = b.fadd(b.fadd(b.fmul(b.fmul(sum_, rest), rest), rest), c(1.0))
        exponent = b.add(b.fptosi(power, self.vector(I32, n)), self.constant(I32, 127, n))
        return b.fmul(sum_, b.bitcast(b.shl(exponent, self.constant(I32, 23, n)), x.type))

    def gelu(self, x: Any) -> Any:
        """x / (1 + e^-2u), u = sqrt(2 / pi) (x + 0.044715 x^3): the tanh form of GELU."""
        b, n = self.b, x.type.count

        def c(value: float) -> Any:
            return self.constant(F32, value, n)

        cubed = b.fmul(b.fmul(b.fmul(c(0.044715), x), x), x)
        u = b.fmul(c(1.5957691216057308), b.fadd(x, cubed))
        return b.fdiv(x, b.fadd(c(1.0), self.exp(b.fsub(c(-0.0), u))))


EXP_POLYNOMIAL = (
    1.9875691500e-4,
    1.3981999507e-3,
    8.3334519073e-3,
    4.1665795894e-2,
    1.6666665459e-1,
    0.5,
)


def build_product(module: ir.Module, name: str, kind: Format, rows: int, target: Target) -> None:
    """`rows` rows times one block of sixteen outputs.

    name(weights, x, x stride, sums, sums stride, groups, scales, bias, y, y stride, mode, shifts)

    `x` is int16 for quantised weights and float32 for others; `sums` are the sums of 32 inputs that
    int4 needs, `scales` one float a row, `shifts` one more, read in mode SHIFT alone.
    """
    t = Builder(module, name, 12, target)
    weights, x, x_stride, sums, sums_stride, groups, scales, bias, y, y_stride, mode, shifts = (
        t.arguments
    )
    if kind.quantised:
        total = _quantised_sums(t, kind, rows, weights, x, x_stride, sums, sums_stride, groups)
    else:
        total = _float_sums(t, kind, rows, weights, x, x_stride, groups)
    _finish(t, total, scales if kind.quantised else None, bias, y, y_stride, mode, shifts)


def _rows_of(t: Builder, first: Any, stride: Any, rows: int) -> list[Any]:
    addresses = [first]
    for _ in range(1, rows):
        addresses.append(t.b.add(addresses[-1], stride))
    return addresses


def _quantised_sums(
    t: Builder,
    kind: Format,
    rows: int,
    weights: Any,
    x: Any,
    x_stride: Any,
    sums: Any,
    sums_stride: Any,
    groups: Any,
) -> list[list[Any]]:
    """By row, vectors of sum over groups of scale * (whole-number sum of 32 products)."""
    b, lanes = t.b, t.lanes
    vectors = OUTPUTS // lanes
    pairs = t.vector(I16, 2 * lanes)  # two inputs of each output lie side by side
    # One row adds to one register every cycle unless even and odd pairs have each their own.
    chains = 2 if rows <= 2 else 1
    unroll = kind.pairs_at_once(rows)

    def group(g: Any, w: Any, x: Any, sums: Any, *total: Any) -> list[Any]:
        for ahead in range(0, kind.block_bytes, 64):
            t.prefetch(t.offset(w, PREFETCH + ahead))
        start = []
        for row in _rows_of(t, sums, sums_stride, rows):
            if kind.name == "int4":  # stored as 0 to 15 for -8 to 7
                start += [t.splat(b.mul(t.load(row, I32), I32(-8)))] * vectors
            else:
                start += [t.constant(I32, 0)] * vectors
        zeros = [t.constant(I32, 0)] * (rows * vectors * (chains - 1))
        row_at = _rows_of(t, x, x_stride, rows)

        def some_pairs(i: Any, *parts: Any) -> list[Any]:
            new = list(parts)
            at = t.offset(t.offset(w, OUTPUTS * 2), i, unroll * kind.pair_bytes)
            for j, packed in enumerate(_pairs(t, kind, at, unroll)):
                chain = (j % chains) * rows * vectors
                for r in range(rows):
                    two = t.load(t.offset(t.offset(row_at[r], i, unroll * 4), j, 4), I32)
                    both = b.bitcast(t.splat(two), pairs)
                    for v in range(vectors):
                        n = chain + r * vectors + v
                        new[n] = b.add(new[n], _add_pairs(t, both, packed[v]))
            return new

        parts = t.loop(GROUP // 2 // unroll, [*start, *zeros], some_pairs)
        if chains == 2:
            half = rows * vectors
            parts = [b.add(parts[n], parts[half + n]) for n in range(half)]
        scale = [_bfloat16(t, t.offset(w, v * 2 * lanes)) for v in range(vectors)]
        new = [
            t.fma(b.sitofp(parts[n], t.vector(F32)), scale[n % vectors], total[n])
            for n in range(rows * vectors)
        ]
        return [t.offset(w, kind.block_bytes), t.offset(x, GROUP * 2), t.offset(sums, 4), *new]

    nothing = [t.constant(F32, 0.0)] * (rows * vectors)
    _, _, _, *total = t.loop(groups, [weights, x, sums, *nothing], group)
    return [total[r * vectors : (r + 1) * vectors] for r in range(rows)]


def _pairs(t: Builder, kind: Format, at: Any, count: int) -> list[list[Any]]:
    """The next `count` pairs of inputs of sixteen outputs, widened to 16 bits."""
    b, lanes = t.b, t.lanes
    vectors = OUTPUTS // lanes
    wide = t.vector(I16, 2 * lanes)
    if kind.name == "int8":
        return [
            [
                b.sext(t.load(t.offset(at, j * 32 + v * 2 * lanes), t.vector(I8, 2 * lanes)), wide)
                for v in range(vectors)
            ]
            for j in range(count)
        ]
    pairs = []
    for quad in range(count // 4):  # four pairs of inputs share 16 bits
        raw = [t.load(t.offset(at, quad * 64 + v * 4 * lanes), wide) for v in range(vectors)]
        for j in range(4):
            moved = [b.lshr(word, t.constant(I16, 4 * j, 2 * lanes)) if j else word for word in raw]
            mask = t.constant(I16, 15, 2 * lanes)
            pairs.append([b.and_(word, mask) if j < 3 else word for word in moved])
    return pairs


def _add_pairs(t: Builder, x: Any, w: Any) -> Any:
    """x0 w0 + x1 w1 of every pair of 16-bit numbers; x86 has one instruction for it."""
    b, lanes = t.b, t.lanes
    wide = t.vector(I32, 2 * lanes)
    product = b.mul(b.sext(x, wide), b.sext(w, wide))
    nothing = ir.Constant(wide, ir.Undefined)
    even, odd = (
        b.shuffle_vector(
            product, nothing, ir.Constant(t.vector(I32), list(range(first, 2 * lanes, 2)))
        )
        for first in (0, 1)
    )
    return b.add(even, odd)


def _bfloat16(t: Builder, address: Any) -> Any:
    """Bfloat16 is the upper half of a float32."""
    bits = t.b.zext(t.load(address, t.vector(I16)), t.vector(I32))
    return t.b.bitcast(t.b.shl(bits, t.constant(I32, 16)), t.vector(F32))


def half_to_float(t: Builder, address: Any) -> Any:
    """A vector of float16, exactly; without an instruction for it, by shifting and one product."""
    if t.native_half:
        return t.b.fpext(t.load(address, t.vector(F16)), t.vector(F32))
    b = t.b
    bits = b.zext(t.load(address, t.vector(I16)), t.vector(I32))
    sign = b.shl(b.and_(bits, t.constant(I32, 0x8000)), t.constant(I32, 16))
    size = b.bitcast(
        b.shl(b.and_(bits, t.constant(I32, 0x7FFF)), t.constant(I32, 13)), t.vector(F32)
    )
    size = b.fmul(size, t.constant(F32, 2.0**112))  # the exponent's other bias; no infinities here
    return b.bitcast(b.or_(b.bitcast(size, t.vector(I32)), sign), t.vector(F32))


def _float_sums(
    t: Builder, kind: Format, rows: int, weights: Any, x: Any, x_stride: Any, groups: Any
) -> list[list[Any]]:
    """By row, vectors of sums over the inputs in order, eight at a time only to save jumps."""
    b, lanes = t.b, t.lanes
    vectors = OUTPUTS // lanes
    size = kind.weight_bytes

    def eight(i: Any, w: Any, x: Any, *total: Any) -> list[Any]:
        new = list(total)
        t.prefetch(t.offset(w, PREFETCH))
        row_at = _rows_of(t, x, x_stride, rows)
        for k in range(8):
            for v in range(vectors):
                at = t.offset(w, (k * OUTPUTS + v * lanes) * size)
                weight = t.load(at, t.vector(F32)) if size == 4 else half_to_float(t, at)
                for r in range(rows):
                    value = t.splat(t.load(t.offset(row_at[r], k * 4), F32))
                    new[r * vectors + v] = t.fma(value, weight, new[r * vectors + v])
        return [t.offset(w, 8 * OUTPUTS * size), t.offset(x, 32), *new]

    nothing = [t.constant(F32, 0.0)] * (rows * vectors)
    count = b.mul(groups, I64(GROUP // 8))
    _, _, *total = t.loop(count, [weights, x, *nothing], eight)
    return [total[r * vectors : (r + 1) * vectors] for r in range(rows)]


def _finish(
    t: Builder,
    total: list[list[Any]],
    scales: Any,
    bias: Any,
    y: Any,
    y_stride: Any,
    mode: Any,
    shifts: Any,
) -> None:
    """Times the row's scale, plus the bias, then what `mode` says."""
    b, lanes = t.b, t.lanes
    size = t.vector(F32)
    bias_at = [t.load(t.offset(bias, v * 4 * lanes), size) for v in range(OUTPUTS // lanes)]
    rows = _rows_of(t, y, y_stride, len(total))
    values = []
    for r, row in enumerate(total):
        if scales is not None:
            scale = t.splat(t.load(t.offset(scales, r * 4), F32))
            row = [b.fmul(value, scale) for value in row]
        values.append([b.fadd(value, more) for value, more in zip(row, bias_at, strict=True)])
    blocks = [t.function.append_basic_block(name) for name in ("store", "gelu", "add", "shift")]
    switch = b.switch(mode, blocks[STORE])
    for number in (GELU, ADD, SHIFT):
        switch.add_case(I64(number), blocks[number])
    for number, block in enumerate(blocks):
        b.position_at_end(block)
        for r, row in enumerate(values):
            for v, value in enumerate(row):
                at = t.offset(rows[r], v * 4 * lanes)
                if number == GELU:
                    value = t.gelu(value)
                elif number == ADD:
                    value = b.fadd(t.load(at, size), value)
                elif number == SHIFT:
                    value = b.fadd(value, t.splat(t.load(t.offset(shifts, r * 4), F32)))
                t.store(value, at)
        b.ret_void()


def _cached(t: Builder, address: Any, size: int) -> Any:
    return t.load(address, t.vector(F32)) if size == 4 else half_to_float(t, address)


def build_scores(
    module: ir.Module, name: str, width: int, queries: int, size: int, target: Target
) -> None:
    """`queries` queries against tiles of 32 keys; each tile is read once for all of them.

    name(q, q stride, keys, tiles, scores, scores stride): q is float32 (queries, width), keys
    (tiles, width, 32) of `size` bytes a number, scores (queries, 32 tiles) float32. The width is
    summed in order.
    """
    t = Builder(module, name, 6, target)
    q, q_stride, keys, tiles, scores, scores_stride = t.arguments
    lanes = t.lanes
    vectors = TILE_KEYS // lanes
    query_at = _rows_of(t, q, q_stride, queries)

    def tile(i: Any, at: Any, out: Any) -> list[Any]:
        def four(d: Any, *total: Any) -> list[Any]:
            new = list(total)
            for u in range(4):
                channel = t.offset(t.offset(at, d, 4 * TILE_KEYS * size), u * TILE_KEYS * size)
                key = [
                    _cached(t, t.offset(channel, v * lanes * size), size) for v in range(vectors)
                ]
                for n in range(queries):
                    one = t.splat(t.load(t.offset(t.offset(query_at[n], d, 16), u * 4), F32))
                    for v in range(vectors):
                        new[n * vectors + v] = t.fma(one, key[v], new[n * vectors + v])
            return new

        nothing = [t.constant(F32, 0.0)] * (queries * vectors)
        total = t.loop(width // 4, nothing, four)
        for n, row in enumerate(_rows_of(t, out, scores_stride, queries)):
            for v in range(vectors):
                t.store(total[n * vectors + v], t.offset(row, v * lanes * 4))
        return [t.offset(at, width * TILE_KEYS * size), t.offset(out, TILE_KEYS * 4)]

    t.loop(tiles, [keys, scores], tile)
    t.b.ret_void()


def build_mix(
    module: ir.Module, name: str, width: int, queries: int, size: int, target: Target
) -> None:
    """Values weighted and summed, token after token.

    name(weights, weights stride, values, tokens, y, y stride): weights (queries, tokens) float32,
    values (tokens, width) of `size` bytes a number, y (queries, width) float32.
    """
    t = Builder(module, name, 6, target)
    weights, weights_stride, values, tokens, y, y_stride = t.arguments
    row_at = _rows_of(t, weights, weights_stride, queries)
    # As many channels at a time as registers hold.
    lanes = t.lanes
    most = max(1, min(4, 16 // queries))  # times the queries, sums that fit into registers
    vectors_in_all = width // lanes
    for first in range(0, vectors_in_all, most):
        vectors = min(most, vectors_in_all - first)

        def token(i: Any, at: Any, *total: Any, vectors: int = vectors) -> list[Any]:
            new = list(total)
            value = [_cached(t, t.offset(at, v * t.lanes * size), size) for v in range(vectors)]
            for n in range(queries):
                weight = t.splat(t.load(t.offset(row_at[n], i, 4), F32))
                for v in range(vectors):
                    new[n * vectors + v] = t.fma(weight, value[v], new[n * vectors + v])
            return [t.offset(at, width * size), *new]

        nothing = [t.constant(F32, 0.0)] * (queries * vectors)
        start = t.offset(values, first * lanes * size)
        _, *total = t.loop(tokens, [start, *nothing], token)
        for n, row in enumerate(_rows_of(t, y, y_stride, queries)):
            for v in range(vectors):
                t.store(total[n * vectors + v], t.offset(row, (first + v) * lanes * 4))
    t.b.ret_void()


def build_exponentials(module: ir.Module, name: str, target: Target) -> None:
    """e^((score - largest) * scale) of a row, in place.

    name(scores, sixteens, parameters): `parameters` are the two floats largest and scale.
    """
    t = Builder(module, name, 3, target)
    scores, sixteens, parameters = t.arguments
    b = t.b
    largest, scale = (t.splat(t.load(t.offset(parameters, n * 4), F32), 16) for n in range(2))

    def sixteen(i: Any, at: Any) -> list[Any]:
        x = t.load(at, t.vector(F32, 16))
        t.store(t.exp(b.fmul(b.fsub(x, largest), scale)), at)
        return [t.offset(at, 64)]

    t.loop(sixteens, [scores], sixteen)
    b.ret_void()


def build_halves(module: ir.Module, name: str, target: Target) -> None:
    """float32 to float16, to nearest even; beyond the largest float16 is the largest float16.

    name(x, y, sixteens)
    """
    t = Builder(module, name, 3, target)
    x, y, sixteens = t.arguments
    b, n = t.b, 16
    words = t.vector(I32, n)

    def rounded(value: Any) -> Any:
        """By bits: a normal float16 drops 13 of them, of a subnormal one 0.5 + |x| has the last."""
        bits = b.bitcast(value, words)
        size = b.and_(bits, t.constant(I32, 0x7FFFFFFF, n))
        odd = b.and_(b.lshr(size, t.constant(I32, 13, n)), t.constant(I32, 1, n))
        normal = b.add(b.add(size, t.constant(I32, 0xFFF - 0x38000000, n)), odd)
        normal = b.lshr(normal, t.constant(I32, 13, n))
        tiny = b.fadd(b.bitcast(size, t.vector(F32, n)), t.constant(F32, 0.5, n))
        tiny = b.sub(b.bitcast(tiny, words), t.constant(I32, 0x3F000000, n))
        small = b.icmp_unsigned("<", size, t.constant(I32, 0x38800000, n))
        sign = b.and_(b.lshr(bits, t.constant(I32, 16, n)), t.constant(I32, 0x8000, n))
        return b.trunc(b.or_(b.select(small, tiny, normal), sign), t.vector(I16, n))

    def sixteen(i: Any, x: Any, y: Any) -> list[Any]:
        value = t.load(x, t.vector(F32, n))
        for bound, sign in ((65504.0, ">"), (-65504.0, "<")):
            limit = t.constant(F32, bound, n)
            value = b.select(b.fcmp_ordered(sign, value, limit), limit, value)
        t.store(b.fptrunc(value, t.vector(F16, n)) if t.native_half else rounded(value), y)
        return [t.offset(x, 64), t.offset(y, 32)]

    t.loop(sixteens, [x, y], sixteen)
    b.ret_void()
