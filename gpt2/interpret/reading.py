"""What every measurement starts from: a text read once, and the weights that give it a meaning."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, fields
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from gpt2.inference.executor import Floats
from gpt2.inference.steps import Request, Step, StepSource

Doubles = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Task = TypeVar("Task")
Result = TypeVar("Result")

# Runs of a sweep that are under way at once: half of what a scheduler advances together, so that
# visitors who write still get a slot.
AT_ONCE = 4


class Stopped(Exception):
    """A measurement was cancelled before it was done."""


@dataclass(frozen=True, slots=True)
class Readout:
    """The weights that turn a residual stream into logits, and a head's output into a part of it.

    float32, in the model's own units. `embedding` (V, C) is read as rows and, tied, as the head;
    `positions` (context, C); `gain`, `bias` (C,) and `epsilon` are those of the last layer norm;
    `projections` (L, C, C) and `projection_biases` (L, C) those of each attention's output: what
    head h found, (D,), adds `projections[layer][:, h D : (h + 1) D]` times it to the stream.
    `value_biases` (L, H, D) is in every value that is read, so a head with nothing to say adds its
    share of that.
    """

    embedding: Floats
    positions: Floats
    gain: Floats
    bias: Floats
    epsilon: float
    projections: Floats
    projection_biases: Floats
    value_biases: Floats

    @classmethod
    def from_weights(cls, weights: Mapping[str, Any], num_heads: int, epsilon: float) -> Readout:
        """From tensors or arrays by the names of the public checkpoint; a linear layer's matrix is
        (outputs, inputs). Nothing is copied where float32 lies in the computer's own memory."""
        layers = range(sum(name.endswith("attn.c_proj.weight") for name in weights))
        biases = np.stack([_array(weights[f"h.{n}.attn.c_attn.bias"]) for n in layers])
        width = biases.shape[1] // 3
        return cls(
            _array(weights["wte.weight"]),
            _array(weights["wpe.weight"]),
            _array(weights["ln_f.weight"]),
            _array(weights["ln_f.bias"]),
            epsilon,
            np.stack([_array(weights[f"h.{n}.attn.c_proj.weight"]) for n in layers]),
            np.stack([_array(weights[f"h.{n}.attn.c_proj.bias"]) for n in layers]),
            biases[:, 2 * width :].reshape(len(layers), num_heads, -1),
        )

    @property
    def nbytes(self) -> int:
        """What the arrays take, those included that a model in float32 shares with them."""
        arrays = (getattr(self, each.name) for each in fields(self))
        return sum(each.nbytes for each in arrays if isinstance(each, np.ndarray))

    def logits(self, stream: Floats) -> Floats:
        """What a stream (..., C) would say if it were the last, (..., V): ln_f anew, the head."""
        normed = self.normed(stream)
        flat = normed.reshape(-1, normed.shape[-1])
        return (flat @ self.embedding.T).reshape(*normed.shape[:-1], -1)

    def normed(self, stream: Floats) -> Floats:
        """ln_f of a stream (..., C)."""
        centred = stream - stream.mean(axis=-1, keepdims=True)
        variance = np.square(centred).mean(axis=-1, keepdims=True)
        normed: Floats = centred / np.sqrt(variance + np.float32(self.epsilon))
        return normed * self.gain + self.bias


def _array(weight: Any) -> Floats:
    """A tensor, on whatever device and in whatever floats, as float32."""
    if hasattr(weight, "detach"):
        weight = weight.detach().float().cpu().numpy()
    found: Floats = np.asarray(weight, np.float32)
    return found


@dataclass(frozen=True, slots=True)
class Reading:
    """A text of T tokens as a model read it; what was not asked for is None.

    `logits` (T - start, V), `residual` (T, 2 L + 1, C) as in `executor.Pass`, `heads` (T, L, H, D).
    """

    logits: Floats | None
    residual: Floats | None
    heads: Floats | None


def read(
    source: StepSource,
    request: Request,
) -> Reading:
    """One pass over a text, in pieces. Raises Stopped where `request.stopped` ended it early."""
    steps = list(source.steps(request))
    if sum(step.fed for step in steps) < len(request.ids):
        raise Stopped("The text was not read to its end.")
    return Reading(
        _joined(steps, "logits"),
        _joined(steps, "residual"),
        _joined(steps, "heads"),
    )


def _joined(steps: Sequence[Step], name: str) -> Floats | None:
    found = [each for step in steps if (each := getattr(step, name)) is not None]
    return np.concatenate(found) if found else None


def known(array: Floats | None, what: str) -> Floats:
    """What was asked for. Raises NotImplementedError where the executor does not hand it out."""
    if array is None:
        raise NotImplementedError(f"What makes the passes here does not hand out {what}.")
    return array


def each_at_once(
    task: Callable[[Task], Result],
    tasks: Sequence[Task],
    stopped: Callable[[], bool],
    progress: Callable[[int, int], None],
) -> Iterator[tuple[Task, Result]]:
    """Results in the order in which they come, some tasks at once so that they share passes.

    `progress(done, all)` is called in this thread before the first and after each. What a task
    raises is raised here; a true `stopped()` ends the iteration, and what was asked is abandoned.
    """
    progress(0, len(tasks))
    pool = ThreadPoolExecutor(AT_ONCE, "gpt2-sweep")
    running: dict[Future[Result], Task] = {}
    waiting = iter(tasks)
    done = 0
    try:
        while True:
            while len(running) < AT_ONCE and (following := next(waiting, None)) is not None:
                running[pool.submit(task, following)] = following
            if not running or stopped():
                return
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                of = running.pop(future)
                result = future.result()
                done += 1
                progress(done, len(tasks))
                yield of, result
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def check_position(position: int, length: int) -> int:
    """`position` of a text of `length` tokens, counted from its end where negative.

    Raises ValueError when there is none such.
    """
    if not -length <= position < length:
        raise ValueError(f"Position must be from 0 to {length - 1}, not {position}.")
    return position % length
