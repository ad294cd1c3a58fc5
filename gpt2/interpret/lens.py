"""The logit lens: what the model would say if it ended at this layer.

nostalgebraist (2020): the residual stream after a layer, through the model's own last layer norm
(computed anew for it) and head. Half-way points, after attention and before the MLP, are read the
same way (`include_subblocks` of transformer-utils). Do not mix it with `attribution`, where the
last layer norm is frozen so that parts add up.

Early layers need care: their stream is not yet in the space the head reads, so guesses there lean
towards frequent tokens and are brittle (Belrose et al. 2023, arXiv 2303.08112).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from gpt2.inference.executor import Floats, Head
from gpt2.inference.steps import Request, StepSource
from gpt2.interpret.reading import Ints, Readout, Stopped, known

EARLY = (
    "Early layers are not yet in the space the head reads: guesses there lean towards frequent "
    "tokens (Belrose et al. 2023, arXiv 2303.08112)."
)
_NUMBERS = 2**24  # logits at a time, 64 MB


@dataclass(frozen=True, slots=True)
class Lens:
    """What every stage of the stream would say next, after each of T tokens; S stages.

    `stages` names them: "embedding", then "1 attention" and "1" for what stands after the
    attention and after the MLP of layer 1, and so on; without half-way points only "embedding", "1"
    and so on. `guess` (T, S) is the likeliest token, `probability` (T, S) what it gets, `rank`
    (T, S) that of the final guess, from 1, and `final_probability` (T, S) what that gets.

    `settled` (T,) is the first stage from which on every guess is the final one ("saturation",
    Geva et al. 2022, arXiv 2203.14680), as an index into `stages`. `deviation` is the largest
    difference between a logit of the last stage and the same one as the pass computed it: rounding
    alone in float32, the price of the numbers in other precisions, where the lens reads with the
    float32 head.
    """

    ids: tuple[int, ...]
    positions: tuple[int, ...]
    stages: tuple[str, ...]
    guess: Ints
    probability: Floats
    rank: Ints
    final_probability: Floats
    settled: Ints
    deviation: float
    precision: str


def stage_names(num_blocks: int, halves: bool) -> tuple[str, ...]:
    """Names of the stages of the stream, as in `Lens.stages`."""
    blocks = [
        name
        for layer in range(1, num_blocks + 1)
        for name in ([f"{layer} attention", f"{layer}"] if halves else [f"{layer}"])
    ]
    return ("embedding", *blocks)


def lens(
    source: StepSource,
    readout: Readout,
    ids: Sequence[int],
    positions: Sequence[int] | None,
    halves: bool,
    stopped: Callable[[], bool],
    progress: Callable[[int, int], None],
    heads_off: Mapping[Head, Floats | None],
) -> Lens:
    """`Engine.lens`: the stages after each of `positions` of `ids`, or after every token.

    Positions come back in order and once each. Raises ValueError for an empty text, one that is too
    long, or a position outside it, and Stopped once `stopped()` is true.
    """
    chosen = list(range(len(ids)) if positions is None else positions)
    for position in chosen:
        if not 0 <= position < len(ids):
            raise ValueError(f"Position must be from 0 to {len(ids) - 1}, not {position}.")
    chosen = sorted(set(chosen))
    if not chosen:
        raise ValueError("There is no position to look at.")
    request = Request(
        ids,
        residual=True,
        logits_from=chosen[0],
        stopped=stopped,
        heads_off=heads_off,
    )
    rows: list[tuple[Ints, Floats, Ints, Floats]] = []
    deviation, first = 0.0, 0
    for step in source.steps(request):
        logits = known(step.logits, "logits")
        stream = known(step.residual, "the residual stream")
        stream = stream if halves else stream[:, ::2]
        unknown = len(stream) - len(logits)  # rows at the beginning that nobody asked about
        here = [position - first for position in chosen if first <= position < first + step.fed]
        first += step.fed
        at_once = max(1, _NUMBERS // (stream.shape[1] * logits.shape[1]))
        for at in range(0, len(here), at_once):
            if stopped():
                break
            progress(len(rows), len(chosen))
            chunk = np.array(here[at : at + at_once])
            found = readout.logits(stream[chunk])  # (T, S, V)
            final = logits[chunk - unknown]
            deviation = max(deviation, float(np.abs(found[:, -1] - final).max()))
            found[:, -1] = final
            rows += zip(*_guesses(found), strict=True)
    if len(rows) < len(chosen):
        raise Stopped("The lens was stopped before the end of the text.")
    progress(len(chosen), len(chosen))
    guess, probability, rank, final_probability = map(np.stack, zip(*rows, strict=True))
    return Lens(
        tuple(ids),
        tuple(chosen),
        stage_names(source.config.num_blocks, halves),
        guess,
        probability,
        rank,
        final_probability,
        settled(guess),
        deviation,
        source.precision,
    )


def lens_of_stream(readout: Readout, stream: Floats) -> tuple[Ints, Floats, Ints]:
    """Guess, probability and rank of the final guess (T, S) of a stream (T, S, C): for the newest
    tokens while text is written, from `Event.residual`."""
    guess, probability, rank, _ = _guesses(readout.logits(stream))
    return guess, probability, rank


def _guesses(logits: Floats) -> tuple[Ints, Floats, Ints, Floats]:
    """From logits (T, S, V), whose last stage is the final one."""
    guess = logits.argmax(axis=-1)
    final = np.broadcast_to(guess[:, -1:], guess.shape)
    of_final = np.take_along_axis(logits, final[..., None], axis=-1)
    rank = 1 + (logits > of_final).sum(axis=-1)
    most = np.take_along_axis(logits, guess[..., None], axis=-1)
    total = np.exp(logits - most).sum(axis=-1)  # the likeliest counts 1
    return guess, 1 / total, rank, np.exp(of_final - most)[..., 0] / total


def settled(guess: Ints) -> Ints:
    """The first stage (T,) from which on every guess (T, S) is the last one."""
    differs = guess != guess[:, -1:]
    stages = guess.shape[1]
    last = stages - 1 - np.argmax(differs[:, ::-1], axis=1)
    found: Ints = np.where(differs.any(axis=1), last + 1, 0)
    return found
