"""Recordings of a module's work, one for all modules that do the same with other weights.

torch keeps some of every recording it makes for good, and making one takes long; so one is made for
each kind of block, without weights, and every block gets a copy that has its own.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from gpt2.quantization.kernels import has_float16_kernel, pack_float16, pack_int8

_kinds: dict[Hashable, Any] = {}
_lock = threading.Lock()


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
    kept = _kept(parts)
    kind = (work.__name__, _signature(parts), tuple(tensor.shape for tensor in example))
    if kind not in _kinds:
        _kinds[kind] = _empty_recording(kept, work, example)
    own = copy.copy(_kinds[kind])
    for name, value in kept.items():
        setattr(own, name, value)
    if not _same(own(*example), work(*example)):
        raise RuntimeError("the recording computes something else")
    return own.forward


def _same(one: Tensor | tuple[Tensor, ...], other: Tensor | tuple[Tensor, ...]) -> bool:
    if isinstance(one, Tensor) or isinstance(other, Tensor):
        return isinstance(one, Tensor) and isinstance(other, Tensor) and torch.equal(one, other)
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def _attributes(parts: nn.Module) -> Iterator[tuple[nn.Module, str, Any]]:
    """Every module inside, with the name and the value of all that it has."""
    for module in parts.modules():
        for own in (module._parameters, module._buffers, vars(module)):
            for name, value in own.items():
                several = value if isinstance(value, tuple) else (value,)
                yield from ((module, f"{name}.{n}", one) for n, one in enumerate(several))


def _kept(parts: nn.Module) -> dict[str, Any]:
    """Tensors and packed matrices."""
    values = [value for _, _, value in _attributes(parts)]
    found = [value for value in values if isinstance(value, Tensor | torch.ScriptObject)]
    return {f"kept_{place}": value for place, value in enumerate(found)}


def _signature(parts: nn.Module) -> Hashable:
    """Equal for parts whose recordings are: all but the numbers in the tensors, and how many."""
    return tuple(
        (type(module), name, type(value), getattr(value, "dtype", None), _written(value))
        for module, name, value in _attributes(parts)
    )


def _written(value: Any) -> Hashable:
    """What a recording has of a value that is no tensor: the value itself."""
    return (
        value if isinstance(value, int | float | str | None) else str(getattr(value, "device", ""))
    )


class _Bare(nn.Module):
    """`work`, and in one flat list all that it computes with: a tracer looks for it nowhere else.

    Given modules inside modules, it would look through every attribute of each for seconds.
    """

    def __init__(self, kept: dict[str, Any], work: Callable[..., Any]) -> None:
        super().__init__()
        self.work = work
        for name, value in kept.items():
            if isinstance(value, Tensor):
                self.register_buffer(name, value)
            else:
                setattr(self, name, value)

    def forward(self, *inputs: Tensor) -> Any:
        return self.work(*inputs)


def _empty_recording(
    kept: dict[str, Any], work: Callable[..., Any], example: tuple[Tensor, ...]
) -> Any:
    """A recording whose weights are still to be set."""
    trace: Callable[..., Any] = torch.jit.trace
    bare = _Bare(kept, work)
    recording = trace(bare, example, check_trace=False)._actual_script_module
    vars(bare).clear()  # the tracer leaves it in a circle of references, and weights with it
    recording(*example)  # how it is run is settled the first time
    for name, value in kept.items():
        setattr(recording, name, value.new_empty(0) if isinstance(value, Tensor) else _nothing())
    return recording


def _nothing() -> Any:
    """A packed matrix of next to nothing."""
    if has_float16_kernel():
        return pack_float16(torch.zeros(1, 1), None)
    return pack_int8(torch.zeros(1, 1, dtype=torch.int8), torch.ones(1))
