"""A run whose passes are made in another process, which may die and be tried again."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from functools import cached_property

from gpt2.config import GPT2Config
from gpt2.inference.executor import Floats
from gpt2.inference.steps import Request, Step, StepSource, check_request, never

_TRIES = 8  # in a row, without a token between them
_PAUSE = 0.5  # seconds, longer after every try


class Lost(Exception):
    """The process that made the passes is gone; another one may go on."""


@dataclass(frozen=True, slots=True)
class FarRequest:
    """A `Request` that can be pickled: layers instead of a function, a name instead of a draft.

    `request` holds all the rest, and its own defaults for those two.
    """

    request: Request
    layers: tuple[int, ...] = ()
    draft: str | None = None

    def near(self, draft_named: Callable[[str], StepSource]) -> Request:
        """The request again, where its passes are made."""
        draft = draft_named(self.draft) if self.draft else None
        return replace(self.request, watched=lambda: self.layers, draft=draft)


Far = Callable[[FarRequest], Generator[Step, None, None]]


class RemoteSource:
    """The model `name`, elsewhere: a `StepSource` whose steps are made by `far`.

    When that is `Lost`, another try reads what is there and goes on from the last token: the draw
    depends on seed and place alone, so the text is the one that would have come anyway. The layers
    to watch are asked for at every try, not at every token. Drafts must be remote as well.
    """

    def __init__(
        self,
        name: str,
        config: GPT2Config,
        precision: str,
        far: Far,
        grams: Callable[[], Floats],
    ) -> None:
        self.name = name
        self.config = config
        self.precision = precision
        self._far = far
        self._grams = grams

    @cached_property
    def value_grams(self) -> Floats:
        """`StepSource.value_grams`, fetched once."""
        return self._grams()

    def steps(self, request: Request) -> Iterator[Step]:
        """`StepSource.steps`. Raises Lost after too many tries."""
        check_request(request, self.config)
        draft = None
        if request.draft is not None:
            if not isinstance(request.draft, RemoteSource):
                raise ValueError("A draft must be where the model is.")
            draft = request.draft.name
        return self._tries(request, draft)

    def close(self) -> None:
        """Nothing is held here."""

    def _tries(self, request: Request, draft: str | None) -> Iterator[Step]:
        ids = list(request.ids)
        end = len(ids) + request.new_tokens
        fed = failures = 0
        while True:
            left = replace(
                request,
                ids=ids,
                new_tokens=end - len(ids),
                forced=request.forced[len(ids) - len(request.ids) :],
                watched=tuple,
                residual=request.wants_residual,
                stopped=never,
                paced=False,
                draft=None,
            )
            asked = FarRequest(left, tuple(request.watched()), draft)
            try:
                with closing(self._far(asked)) as steps:
                    read = 0  # by this try
                    for step in steps:
                        known = min(max(0, fed - read), step.fed)
                        read += step.fed
                        if step.token is None and step.fed == known:
                            continue
                        fed, failures = max(fed, read), 0
                        if step.token is not None:
                            ids.append(step.token)
                        yield _without(step, known)
                        if request.stopped():
                            return
                return
            except Lost:
                if request.new_tokens and len(ids) == end:
                    return  # all is there; only the goodbye was lost
                failures += 1
                if failures == _TRIES or request.stopped():
                    raise
                time.sleep(_PAUSE * failures)


def _without(step: Step, known: int) -> Step:
    """The step without the first `known` places it fed, which were handed out before."""
    if not known:
        return step
    fed = step.fed - known
    return replace(
        step,
        fed=fed,
        attention={layer: rows[:, known:] for layer, rows in step.attention.items()},
        values={layer: rows[:, known:] for layer, rows in step.values.items()},
        logits=None if step.logits is None else step.logits[max(0, len(step.logits) - fed) :],
        residual=None if step.residual is None else step.residual[known:],
        heads=None if step.heads is None else step.heads[known:],
    )
