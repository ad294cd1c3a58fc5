"""Blocks replayed without Python: between two attentions always the same operations run.

PyTorch's tracer notes them down once. In int8 a block has some sixty, most of them short, and
calling one from Python takes as long as a short one does: `python -m gpt2 bench`.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, cast

import torch
from torch import Tensor, nn

from gpt2.model import Attend, Cache, GPT2Model, TransformerBlock

# torch 2.13 announces the tracer's end; a test fails when it is gone. For good, as `catch_warnings`
# in one thread undoes what others filter meanwhile.
warnings.filterwarnings("ignore", "`torch.jit.trace", DeprecationWarning)

Heads = tuple[Tensor, Tensor, Tensor]


class RecordedBlock(nn.Module):
    """A `TransformerBlock` of the same parts and the same numbers, to the last bit."""

    def __init__(self, block: TransformerBlock, example: Tensor) -> None:
        """`example` is any stream (B, T, C)."""
        super().__init__()
        self.ln_1, self.attn, self.ln_2, self.mlp = block.ln_1, block.attn, block.ln_2, block.mlp
        heads, _, _ = self.before(example)
        self._before: Callable[[Tensor], Heads] = _record(self, self.before, example)
        self._after: Callable[[Tensor, Tensor], Tensor] = _record(self, self.after, example, heads)

    def before(self, x: Tensor) -> Heads:
        """From the stream to queries, keys and values, (B, H, T, D) each."""
        return self.attn.project(self.ln_1(x))

    def after(self, x: Tensor, heads: Tensor) -> Tensor:
        """From what the heads found (B, H, T, D) to the stream (B, T, C) after this block."""
        x = x + self.attn.mix(heads)
        y: Tensor = x + self.mlp(self.ln_2(x))
        return y

    def forward(self, x: Tensor, cache: Cache, attend: Attend, layer: int) -> Tensor:
        q, k, v = self._before(x)
        k, v = cache.extend(layer, k, v)
        return self._after(x, attend(q, k, v, layer))


@torch.inference_mode()
def record_blocks(model: GPT2Model) -> GPT2Model:
    """The same model, its blocks recorded where this torch can."""
    weight = model.ln_f.weight
    # Two texts of three tokens: a tracer takes a 1 for a dimension that will always be 1.
    example = torch.zeros(2, 3, weight.numel(), dtype=weight.dtype, device=weight.device)
    try:
        with _without_profiling():
            blocks = cast("Iterator[TransformerBlock]", iter(model.h))
            model.h = nn.ModuleList(RecordedBlock(block, example) for block in blocks)
    except (RuntimeError, AttributeError, NotImplementedError):
        pass
    return model


class _Bare(nn.Module):
    """`work`, and in one flat list all that it computes with: a tracer looks for it nowhere else.

    Given modules inside modules, it would look through every attribute of each for seconds.
    """

    def __init__(self, parts: nn.Module, work: Callable[..., Any]) -> None:
        super().__init__()
        self.__dict__["work"] = work
        for place, kept in enumerate(_kept(parts)):
            setattr(self, f"kept_{place}", kept)

    def forward(self, *inputs: Tensor) -> Any:
        return self.__dict__["work"](*inputs)


def _kept(parts: nn.Module) -> Iterator[Any]:
    """Tensors and packed matrices."""
    for module in parts.modules():
        own = (module._parameters, module._buffers, vars(module))
        for kept in (value for held in own for value in held.values()):
            if isinstance(kept, Tensor | torch.ScriptObject):
                yield kept


def _record(parts: nn.Module, work: Callable[..., Any], *example: Tensor) -> Any:
    trace: Callable[..., Any] = torch.jit.trace
    recorded = trace(_Bare(parts, work), example, check_trace=False).forward
    recorded(*example)  # how it is run is settled the first time
    return recorded


@contextmanager
def _without_profiling() -> Iterator[None]:
    """What is recorded is run as it is: studying it first would take the first runs a second."""
    before = torch._C._jit_set_profiling_mode(False)
    try:
        yield
    finally:
        torch._C._jit_set_profiling_mode(before)
