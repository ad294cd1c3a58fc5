"""What is done to a loaded model so that it computes in a named precision.

The model itself never branches on precision: a precision swaps its modules after loading.
"""

from __future__ import annotations

from collections.abc import Callable

from gpt2.model import GPT2Model


def _as_loaded(model: GPT2Model) -> GPT2Model:
    return model


PRECISIONS: dict[str, Callable[[GPT2Model], GPT2Model]] = {
    "float32": _as_loaded,  # the reference: checkpoints are loaded so
}


def with_precision(model: GPT2Model, precision: str) -> GPT2Model:
    """`model` in `precision`. Raises ValueError that lists the names there are."""
    if precision not in PRECISIONS:
        raise ValueError(f"precision must be one of {', '.join(PRECISIONS)}, not {precision!r}")
    return PRECISIONS[precision](model)
