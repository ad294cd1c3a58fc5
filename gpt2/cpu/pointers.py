"""What Numba lacks for the pass: addresses, numbers shared by threads, and calls of the tiles.

Compiled code sees no arrays, only addresses; `x[i]` on one of these types reads or writes memory
that nothing checks. That keeps compiling short, and what is compiled free of Python.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import extending, types

FLOATS = types.CPointer(types.float32)
WHOLES = types.CPointer(types.int32)
HALVES = types.CPointer(types.int16)  # float16 and the int16 of activations: two bytes each
LONGS = types.CPointer(types.int64)

# Numba has no types for mypy: what it decorates is called with what compiled code gives it.
intrinsic: Any = extending.intrinsic

_I64 = ir.IntType(64)


def _pointer(kind: Any) -> Any:
    @intrinsic
    def convert(typing_context: Any, address: Any) -> Any:
        def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return builder.inttoptr(arguments[0], context.get_value_type(kind))

        return kind(types.int64), code

    return convert


floats = _pointer(FLOATS)
wholes = _pointer(WHOLES)
halves = _pointer(HALVES)
longs = _pointer(LONGS)


@intrinsic
def address(typing_context: Any, pointer: Any) -> Any:
    """Where a pointer points."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.ptrtoint(arguments[0], _I64)

    return types.int64(pointer), code


@intrinsic
def from_bits(typing_context: Any, bits: Any) -> Any:
    """The float32 with these 32 bits."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.FloatType())

    return types.float32(types.int32), code


@intrinsic
def square_root(typing_context: Any, x: Any) -> Any:
    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kind = ir.FunctionType(ir.FloatType(), [ir.FloatType()])
        function = builder.module.declare_intrinsic("llvm.sqrt", [ir.FloatType()], kind)
        return builder.call(function, arguments)

    return types.float32(types.float32), code


def call_of(count: int) -> Any:
    """A call of the function at an address, with so many 64-bit integers."""

    @intrinsic
    def call(typing_context: Any, target: Any, arguments: Any) -> Any:
        def code(context: Any, builder: Any, signature: Any, given: Any) -> Any:
            kind = ir.FunctionType(ir.VoidType(), [_I64] * count)
            function = builder.inttoptr(given[0], kind.as_pointer())
            builder.call(function, [builder.extract_value(given[1], n) for n in range(count)])
            return context.get_dummy_value()

        return types.void(types.int64, types.UniTuple(types.int64, count)), code

    return call


# ---- numbers that several threads read and write


@intrinsic
def fetch_add(typing_context: Any, where: Any, more: Any) -> Any:
    """Add, and return what was there before: no two threads get the same number."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer = builder.inttoptr(arguments[0], _I64.as_pointer())
        return builder.atomic_rmw("add", pointer, arguments[1], "seq_cst")

    return types.int64(types.int64, types.int64), code


@intrinsic
def read_shared(typing_context: Any, where: Any) -> Any:
    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer = builder.inttoptr(arguments[0], _I64.as_pointer())
        return builder.load_atomic(pointer, "seq_cst", 8)

    return types.int64(types.int64), code


@intrinsic
def write_shared(typing_context: Any, where: Any, value: Any) -> Any:
    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer = builder.inttoptr(arguments[0], _I64.as_pointer())
        builder.store_atomic(arguments[1], pointer, "seq_cst", 8)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), code
