"""Activation patching: where in the model, and at which token, an answer is decided.

Two prompts of equal length that ask for different answers. The residual stream of the clean one is
put into the corrupted one, at one layer and one token at a time; how much of the clean answer comes
back says whether what decides it passes through there (Meng et al. 2022, arXiv 2202.05262; Wang et
al. 2022, arXiv 2211.00593, section 3).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from gpt2.inference.executor import Floats, Site
from gpt2.inference.steps import Request, StepSource
from gpt2.interpret.attribution import pair
from gpt2.interpret.reading import Doubles, Stopped, each_at_once, known, read

_CONTROL = (-1, -1)


@dataclass(frozen=True, slots=True)
class Patching:
    """How much of the clean answer comes back: `restored` (L, T), 0 as in the corrupted prompt and
    1 as in the clean one; it may lie outside. NaN means not measured, never 0.

    Cell (layer, token) is the stream that *enters* that layer at that token, so layer 0 is the
    embedding. Before the first token that differs the two streams are the same, so nothing is
    measured there and it is exactly 0. `clean_lead` and `corrupted_lead` are what is scaled to 1
    and 0: the logit of `answer` minus that of `against`, after the last token. `control` is the
    largest change of any logit when the corrupted stream is put into itself: exactly 0.
    """

    clean: tuple[int, ...]
    corrupted: tuple[int, ...]
    answer: int
    against: int
    clean_lead: float
    corrupted_lead: float
    restored: Doubles
    control: float
    precision: str


def patching(
    source: StepSource,
    clean: Sequence[int],
    corrupted: Sequence[int],
    answer: int | None,
    against: int | None,
    stopped: Callable[[], bool],
    progress: Callable[[int, int], None],
) -> Patching:
    """`Engine.patching`. A true `stopped()` ends it: what was measured by then is returned."""
    clean, corrupted = tuple(clean), tuple(corrupted)
    if len(clean) != len(corrupted):
        raise ValueError(
            f"The prompts need as many tokens as each other, not {len(clean)} and {len(corrupted)}."
        )
    if clean == corrupted:
        raise ValueError("The prompts are the same: there is nothing to put back.")
    last = len(clean) - 1
    streams: list[Floats] = []
    logits: list[Floats] = []
    for ids in (clean, corrupted):
        reading = read(source, Request(ids, logits_from=last, residual=True, stopped=stopped))
        streams.append(known(reading.residual, "the residual stream")[:, :-1:2])  # (T, L, C)
        logits.append(known(reading.logits, "logits")[-1])
    answer = int(logits[0].argmax()) if answer is None else answer
    if against is None and int(logits[1].argmax()) != answer:
        against = int(logits[1].argmax())  # what the corrupted prompt is answered with
    answer, against = pair(logits[1], answer, against)

    def lead(of: Floats) -> float:
        return float(of[answer]) - float(of[against])

    leads = [lead(each) for each in logits]
    if leads[0] == leads[1]:
        raise ValueError("Both prompts prefer the answer equally: there is nothing to put back.")

    def measure(site: Site) -> Floats:
        layer, position = site
        if site == _CONTROL:
            own = np.ndindex(streams[1].shape[:2])
            instead = {(at, token): streams[1][token, at] for token, at in own}
        else:
            instead = {site: streams[0][position, layer]}
        request = Request(corrupted, logits_from=last, stream=instead, stopped=stopped)
        found: Floats = known(read(source, request).logits, "logits")[-1]
        return found

    first = next(i for i, (a, b) in enumerate(zip(clean, corrupted, strict=True)) if a != b)
    layers = range(source.config.num_blocks)
    restored = np.full((len(layers), len(clean)), np.nan)
    restored[:, :first] = 0
    control = np.nan
    sites = [_CONTROL, *((layer, at) for at in range(first, len(clean)) for layer in layers)]
    try:
        for site, found in each_at_once(measure, sites, stopped, progress):
            if site == _CONTROL:
                control = float(np.abs(found - logits[1]).max())
            else:
                restored[site] = (lead(found) - leads[1]) / (leads[0] - leads[1])
    except Stopped:
        pass  # what was measured is good
    return Patching(
        clean, corrupted, answer, against, leads[0], leads[1], restored, control, source.precision
    )
