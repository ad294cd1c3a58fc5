"""A run whose passes are made in another process, which may die and be tried again."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Generator, Sequence
from contextlib import closing

import torch

from gpt2.engine import Event
from gpt2.generation import Step
from gpt2.sampling import SamplingOptions

# (ids, new tokens, options, layers to watch) to events; every argument and event can be pickled.
Far = Callable[[list[int], int, SamplingOptions, tuple[int, ...]], Generator[Event, None, None]]
_TRIES = 8  # in a row, without a token between them
_PAUSE = 0.5  # seconds, longer after every try


class Lost(Exception):
    """The process that made the passes is gone; another one may go on."""


def far_steps(
    far: Far,
    ids: Sequence[int],
    new_tokens: int,
    options: SamplingOptions,
    watched: Callable[[], Collection[int]],
    stopped: Callable[[], bool],
) -> Generator[Step, None, None]:
    """The steps of `gpt2.generation.generate`, made by `far`.

    When that is `Lost`, another try reads what is there and goes on from the last token: luck
    hangs on seed and place alone, so the text is the one that would have come anyway. The layers
    to watch are asked for at every try, not at every token. Raises Lost after too many tries.
    """
    ids = list(ids)
    end = len(ids) + new_tokens
    fed = failures = 0
    while True:
        try:
            with closing(far(ids, end - len(ids), options, tuple(watched()))) as events:
                read = 0  # by this try
                for event in events:
                    step = _step(event, known=min(max(0, fed - read), event.fed))
                    read += event.fed
                    if step is None:
                        continue
                    fed, failures = max(fed, read), 0
                    if step.token is not None:
                        ids.append(step.token)
                    yield step
                    if stopped():
                        return
            return
        except Lost:
            if new_tokens and len(ids) == end:
                return  # all is there; only the goodbye was lost
            failures += 1
            if failures == _TRIES or stopped():
                raise
            time.sleep(_PAUSE * failures)


def _step(event: Event, known: int) -> Step | None:
    """The step without the first `known` places it fed, which were told before."""
    if event.finish or (event.token is None and event.fed == known):
        return None
    rows = {layer: torch.from_numpy(w[:, known:].copy()) for layer, w in event.attention.items()}
    return Step(event.token, event.fed - known, rows)
