"""Blocks replayed without Python: between two attentions always the same operations run.

PyTorch's tracer notes them down once. In int8 a block has some sixty, most of them short, and
calling one from Python takes as long as a short one does: `python -m tests.recorded_speed`.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor, nn

from gpt2.model import Attend, Cache, GPT2Model, TransformerBlock
from gpt2.precision.recording import Unrecordable, alone, record
from gpt2.precision.unchanged import Unchanged
from gpt2.quantization import FEW_ROWS

_log = logging.getLogger(__name__)

# torch 2.13 announces the tracer's end; a test fails when it is gone. For good, as `catch_warnings`
# in one thread undoes what others filter meanwhile.
warnings.filterwarnings("ignore", "`torch.jit.trace", DeprecationWarning)

Heads = tuple[Tensor, Tensor, Tensor]


class RecordedBlock(TransformerBlock):
    """A `TransformerBlock` of the same parts and the same numbers, to the last bit.

    It runs from Python, as any other, where a recording would not do: for more rows of a text than
    FEW_ROWS, with gradients, while a forward hook is on a part; and for good in copies and pickles,
    and once it has found a part, a tensor or an attribute (`training` is one) replaced. What is
    written into a tensor counts at once. Not noticed is other code for the same objects, as a
    class's new `forward`.
    """

    def __init__(self, block: TransformerBlock, example: Tensor) -> None:
        """`example` is any stream (B, T, C)."""
        nn.Module.__init__(self)  # the parts are there already
        self.ln_1, self.attn, self.ln_2, self.mlp = block.ln_1, block.attn, block.ln_2, block.mlp
        self.training = block.training
        self._recordings: _Recordings | None = _Recordings(self, example)

    def before(self, x: Tensor) -> Heads:
        """From the stream to queries, keys and values, (B, H, T, D) each."""
        return self.attn.project(self.ln_1(x))

    def after(self, x: Tensor, heads: Tensor) -> Tensor:
        """From what the heads found (B, H, T, D) to the stream (B, T, C) after this block."""
        x = x + self.attn.mix(heads)
        y: Tensor = x + self.mlp(self.ln_2(x))
        return y

    def forward(self, x: Tensor, cache: Cache, attend: Attend, layer: int) -> Tensor:
        # Of more rows int8 multiplies in another way, and Python's share of the time is small.
        recordings = self._usable() if x.size(1) <= FEW_ROWS else None
        if recordings is None:
            return super().forward(x, cache, attend, layer)
        q, k, v = recordings.before(x)
        k, v = cache.extend(layer, k, v)
        return recordings.after(x, attend(q, k, v, layer))

    def _usable(self) -> _Recordings | None:
        """The recordings, if they do all that Python would."""
        recordings = self._recordings
        if recordings is None or torch.is_grad_enabled() or recordings.made_of.hooked():
            return None
        if not recordings.made_of.same():
            self._recordings = None  # it would keep in memory what was replaced
        return self._recordings


class _Recordings:
    """Both halves of a block's work, and what it was made of."""

    def __init__(self, block: RecordedBlock, example: Tensor) -> None:
        heads, _, _ = block.before(example)
        self.before: Callable[[Tensor], Heads] = record(block, block.before, example)
        self.after: Callable[[Tensor, Tensor], Tensor] = record(block, block.after, example, heads)
        self.made_of = Unchanged(block)

    def __reduce__(self) -> tuple[type[None], tuple[()]]:
        return type(None), ()  # a copy of the block has other tensors


@torch.inference_mode()
def record_blocks(model: GPT2Model) -> GPT2Model:
    """The same model, its blocks recorded where this torch can.

    It cannot where oneDNN has packed the matrices: large models in float32, which would gain least.
    """
    weight = model.ln_f.weight
    # Two texts of three tokens: a tracer takes a 1 for a dimension that will always be 1.
    numbers = torch.arange(6 * weight.numel(), device=weight.device).to(weight.dtype)
    example = numbers.sin().view(2, 3, -1)
    try:
        with alone():
            blocks: list[Any] = list(model.h)
            recorded = [RecordedBlock(cast("TransformerBlock", b), example) for b in blocks]
    except (RuntimeError, AttributeError, NotImplementedError) as error:
        level = logging.INFO if isinstance(error, Unrecordable) else logging.WARNING
        _log.log(level, "blocks run from Python: %s", str(error).strip().partition("\n")[0])
        return model
    model.h = nn.ModuleList(recorded)
    return model
