"""Recordings of a module's work, one for all modules that do the same with other weights.

torch keeps some of every recording it makes for good, and making one takes long; so one is made for
each kind of block, without weights, and every block gets a copy that has its own.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from copy import copy
from typing import Any

import torch
from torch import Tensor, nn

from gpt2.quantization.kernels import has_float16_kernel, pack_float16, pack_int8

_kinds: dict[Hashable, Any] = {}
_lock = threading.Lock()


class Unrecordable(RuntimeError):
    """This work can never be recorded. The message says why."""


@contextmanager
def alone() -> Iterator[None]:
    """One thread at a time may record: kinds, and torch's setting, are those of all threads.

    What is recorded is run as it is: studying it first would take the first runs a second.
    """
    with _lock:
        before = torch._C._jit_set_profiling_mode(False)
        try:
            yield
        finally:
            torch._C._jit_set_profiling_mode(before)


def record(parts: nn.Module, work: Callable[..., Any], *example: Tensor) -> Any:
    """`work`, a function of tensors that computes with `parts`, replayed without Python.

    To be called `alone`. Raises RuntimeError where it cannot be recorded, or would not give the
    same bits.
    """
    tensors = _tensors_of(parts)
    kind = (work.__name__, _signature(parts), tuple(tensor.shape for tensor in example))
    if kind not in _kinds:
        _kinds[kind] = _empty_recording(tensors, work, example)
    recording = copy(_kinds[kind])
    for name, value in tensors.items():
        setattr(recording, name, value)
    if not _same(recording(*example), work(*example)):
        raise RuntimeError("the recording computes something else")
    return recording.forward


def _same(one: Tensor | tuple[Tensor, ...], other: Tensor | tuple[Tensor, ...]) -> bool:
    if isinstance(one, Tensor) or isinstance(other, Tensor):
        return isinstance(one, Tensor) and isinstance(other, Tensor) and torch.equal(one, other)
    return len(one) == len(other) and all(map(torch.equal, one, other))


def _attributes(parts: nn.Module) -> Iterator[tuple[nn.Module, str, Any]]:
    """Every module inside, with the name and the value of all that it has."""
    for module in parts.modules():
        for attributes in (module._parameters, module._buffers, vars(module)):
            for name, value in attributes.items():
                several = value if isinstance(value, tuple) else (value,)
                yield from ((module, f"{name}.{n}", one) for n, one in enumerate(several))


def _tensors_of(parts: nn.Module) -> dict[str, Any]:
    """All tensors and packed matrices inside, by names that a recording can have them under."""
    values = [value for _, _, value in _attributes(parts)]
    found = [value for value in values if isinstance(value, Tensor | torch.ScriptObject)]
    if any(isinstance(value, Tensor) and value.is_mkldnn for value in found):
        raise Unrecordable("oneDNN has packed the matrices, and no tracer knows its products")
    return {f"tensor_{place}": value for place, value in enumerate(found)}


def _signature(parts: nn.Module) -> Hashable:
    """What a recording depends on: not the numbers in the tensors, nor how many there are."""
    return tuple(
        (type(module), name, type(value), getattr(value, "dtype", None), _constant(value))
        for module, name, value in _attributes(parts)
    )


def _constant(value: Any) -> Hashable:
    """What a recording has of a value: numbers and words as they are, of a tensor the device."""
    return (
        value if isinstance(value, int | float | str | None) else str(getattr(value, "device", ""))
    )


class _Flat(nn.Module):
    """`work`, and in one flat list all that it computes with: a tracer looks for it nowhere else.

    Given modules inside modules, it would look through every attribute of each for seconds.
    """

    def __init__(self, tensors: dict[str, Any], work: Callable[..., Any]) -> None:
        super().__init__()
        self.work = work
        for name, value in tensors.items():
            if isinstance(value, Tensor):
                self.register_buffer(name, value)
            else:
                setattr(self, name, value)

    def forward(self, *inputs: Tensor) -> Any:
        return self.work(*inputs)


def _empty_recording(
    tensors: dict[str, Any], work: Callable[..., Any], example: tuple[Tensor, ...]
) -> Any:
    """A recording whose weights are still to be set."""
    trace: Callable[..., Any] = torch.jit.trace
    flat = _Flat(tensors, work)
    recording = trace(flat, example, check_trace=False)._actual_script_module
    vars(flat).clear()  # the tracer leaves it in a circle of references, and weights with it
    recording(*example)  # how it is run is settled the first time
    for name, value in tensors.items():
        setattr(recording, name, value.new_empty(0) if isinstance(value, Tensor) else _nothing())
    return recording


def _nothing() -> Any:
    """A packed matrix of next to nothing."""
    if has_float16_kernel():
        return pack_float16(torch.zeros(1, 1), None)
    return pack_int8(torch.zeros(1, 1, dtype=torch.int8), torch.ones(1))
