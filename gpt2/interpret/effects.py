"""Which heads matter: every head's effect on a token, measured by switching it off.

Zero is arbitrary: later layers rely on what a head usually adds, so zeroing it is noisy, and the
mean over a text is the milder stand-in (Wang et al. 2022, arXiv 2211.00593, section 2.1). Single
effects do not add up, since later heads make up for missing ones ("self-repair", McGrath et al.
2023, arXiv 2307.15771), so the joint effect stands beside the sum. And a measurement is worth what
its control is: replaced by its own recorded output, a head must have no effect at all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from gpt2.inference.executor import Floats, Head
from gpt2.inference.steps import Request, StepSource
from gpt2.interpret.attribution import pair
from gpt2.interpret.reading import (
    Doubles,
    Readout,
    Stopped,
    check_position,
    each_at_once,
    known,
    read,
)
from gpt2.sampling import softmax

Instead = Literal["zero", "mean", "bias"]
_CONTROL = "control"


@dataclass(frozen=True, slots=True)
class Effects:
    """What becomes of the token after `position` without each head, L layers of H heads.

    `logit` is that of `token`, or where `against` is given its lead over that one, with all heads
    on; `probability` that of `token`. `logits` and `probabilities` (L, H) are the changes, off
    minus on: a head that speaks for the token is negative. NaN means not measured, never no effect.

    `joint_logit` and `joint_probability` are the changes with all measured heads off at once, and
    `joint_logits` (L,) with those of one layer; compare `sum_of_logits`. `control` is the largest
    change (in logits, of any token) when heads are replaced by their own recorded output, one head
    of every layer and all at once: exactly 0, or the measurement is not to be trusted.

    `instead` names what stood in for a head: "zero"; "mean", its mean output over this text; or
    "bias", the constant share of its value bias, which is what TransformerLens calls zero.
    `everywhere` says whether it was off at every token or only at `position`.
    """

    ids: tuple[int, ...]
    position: int
    token: int
    against: int | None
    instead: Instead
    everywhere: bool
    logit: float
    probability: float
    logits: Doubles
    probabilities: Doubles
    joint_logit: float
    joint_probability: float
    joint_logits: Doubles
    control: float
    precision: str

    @property
    def sum_of_logits(self) -> float:
        """Of all single effects that were measured: not the joint effect, and often far from it."""
        return float(np.nansum(self.logits))

    @property
    def measured(self) -> int:
        """How many heads were measured."""
        return int((~np.isnan(self.logits)).sum())

    def ranked(self) -> list[Head]:
        """The measured heads, the largest effect first, whatever its sign."""
        size = np.nan_to_num(np.abs(self.logits), nan=-1.0)
        order = np.argsort(-size, axis=None, kind="stable")[: self.measured]
        return [(int(n) // size.shape[1], int(n) % size.shape[1]) for n in order]


def effects(
    source: StepSource,
    readout: Readout,
    ids: Sequence[int],
    token: int | None,
    against: int | None,
    instead: Instead,
    heads: Sequence[Head] | None,
    position: int,
    everywhere: bool,
    stopped: Callable[[], bool],
    progress: Callable[[int, int], None],
) -> Effects:
    """`Engine.effects`. A true `stopped()` ends it: what was measured by then is returned."""
    if instead not in get_args(Instead):
        names = ", ".join(get_args(Instead))
        raise ValueError(f"What stands in for a head is one of {names}, not {instead}.")
    config = source.config
    position = check_position(position, len(ids))
    ids = tuple(ids[: position + 1])
    shape = (config.num_blocks, config.num_heads)
    asked = list(dict.fromkeys(heads if heads is not None else np.ndindex(shape)))
    for layer, head in asked:
        if not (0 <= layer < shape[0] and 0 <= head < shape[1]):
            raise ValueError(f"There is no head {layer}.{head} in {shape[0]} layers of {shape[1]}.")
    first_off = 0 if everywhere else position
    clean = read(
        source,
        # Cut at the same position as the others, so that all are summed in the same order.
        Request(ids, logits_from=position, heads=True, off_from=first_off, stopped=stopped),
    )
    on = known(clean.logits, "logits")[-1]
    if token is None:
        token, _ = pair(on, None, against)
    elif against is not None:
        pair(on, token, against)
    elif not 0 <= token < config.vocab_size:
        raise ValueError(f"Token id {token} is not in a vocabulary of {config.vocab_size:,}.")
    biases = readout.value_biases
    found = known(clean.heads, "what heads found").transpose(1, 2, 0, 3)  # (L, H, T, D)

    def stand_in(head: Head) -> Floats | None:
        if instead == "zero":
            return None
        output: Floats = found[head].mean(axis=0) if instead == "mean" else biases[head]
        return output

    def logits_without(off: Mapping[Head, Floats | None]) -> Floats:
        request = Request(
            ids, logits_from=position, heads_off=off, off_from=first_off, stopped=stopped
        )
        logits: Floats = known(read(source, request).logits, "logits")[-1]
        return logits

    def measure(task: tuple[str, int, tuple[Head, ...]]) -> Floats:
        kind, _, off = task
        if kind == _CONTROL:
            return logits_without({head: np.ascontiguousarray(found[head]) for head in off})
        return logits_without({head: stand_in(head) for head in off})

    layers = sorted({layer for layer, _ in asked})
    in_layer = {layer: tuple(head for head in asked if head[0] == layer) for layer in layers}
    tasks = [(_CONTROL, 0, tuple(asked))] if asked else []
    tasks += [(_CONTROL, 1, tuple(in_layer[layer][0] for layer in layers))] if asked else []
    tasks += [("head", 0, (head,)) for head in asked]
    tasks += [("layer", layer, in_layer[layer]) for layer in layers]
    tasks += [("all", 0, tuple(asked))] if asked else []

    def summary(logits: Floats) -> tuple[float, float]:
        lead = float(logits[token])
        lead -= float(logits[against]) if against is not None else 0.0
        return lead, float(softmax(logits.astype(np.float64))[token])

    logit, probability = summary(on)
    change, gain = np.full(shape, np.nan), np.full(shape, np.nan)
    by_layer = np.full(shape[0], np.nan)
    joint = joint_gain = control = np.nan
    try:
        for (kind, number, off), logits in each_at_once(measure, tasks, stopped, progress):
            lead, likely = summary(logits)
            if kind == _CONTROL:
                largest = float(np.abs(logits - on).max())
                control = largest if np.isnan(control) else max(control, largest)
            elif kind == "head":
                change[off[0]], gain[off[0]] = lead - logit, likely - probability
            elif kind == "layer":
                by_layer[number] = lead - logit
            else:
                joint, joint_gain = lead - logit, likely - probability
    except Stopped:
        pass  # what was measured is good
    return Effects(
        ids,
        position,
        token,
        against,
        instead,
        everywhere,
        logit,
        probability,
        change,
        gain,
        joint,
        joint_gain,
        by_layer,
        control,
        source.precision,
    )
