"""A run elsewhere is the run here: also when that place dies, again and again."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpt2 import SamplingOptions
from gpt2.engine import Event
from gpt2.generation import Step, generate
from gpt2.serving import remote
from gpt2.serving.remote import Far, Lost, far_steps
from tests.small import SHORT_PIECE, small_engine

pytestmark = pytest.mark.usefixtures("short_pieces")

ENGINE = small_engine()
WARM = SamplingOptions(seed=4)
IDS = ENGINE.encode("It was late, and the fox was not at home.")
LONG = (IDS * 20)[: SHORT_PIECE + 30]


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "_PAUSE", 0.0)


def dying_after(*events: int) -> Far:
    """Lost after so many events at the first try, so many at the second, and so on."""
    left = list(events)

    def far(
        ids: list[int], new_tokens: int, options: SamplingOptions, layers: tuple[int, ...]
    ) -> Generator[Event, None, None]:
        most = left.pop(0) if left else None
        for count, event in enumerate(ENGINE.stream(ids, options, new_tokens, attention=layers)):
            if count == most:
                raise Lost
            yield event

    return far


def collected(steps: Any) -> tuple[list[int], dict[int, np.ndarray], int]:
    """Tokens, rows by their place, and places fed."""
    tokens, rows, fed = [], {}, 0
    for step in steps:
        assert isinstance(step, Step)
        if step.token is not None:
            tokens.append(step.token)
        for row in range(step.fed):
            rows[fed + row] = step.attention[1][:, row].numpy()
        fed += step.fed
    return tokens, rows, fed


@settings(deadline=None, max_examples=40)
@given(st.lists(st.integers(0, 12), max_size=5), st.sampled_from([IDS, LONG]))
def test_a_run_that_dies_anywhere_goes_on_as_if_nothing_had_been(
    deaths: list[int], ids: list[int]
) -> None:
    tokens, rows, fed = collected(
        far_steps(dying_after(*deaths), ids, 20, WARM, lambda: (1,), lambda: False)
    )
    wanted = collected(generate(ENGINE.model, ids, 20, WARM, lambda: (1,)))
    assert (tokens, fed) == (wanted[0], wanted[2])
    assert rows.keys() == wanted[1].keys()
    for place, row in rows.items():
        assert row.shape[-1] >= place + 1
        np.testing.assert_allclose(row[:, : place + 1], wanted[1][place][:, : place + 1], atol=2e-6)


def test_what_dies_every_time_is_given_up() -> None:
    with pytest.raises(Lost):
        list(far_steps(dying_after(*[0] * 50), IDS, 20, WARM, lambda: (), lambda: False))


@pytest.mark.parametrize("stops", [lambda seen: seen == 3])
def test_a_stop_closes_the_far_end(stops: Callable[[int], bool]) -> None:
    closed = []

    def far(*arguments: Any) -> Generator[Event, None, None]:
        try:
            yield from dying_after()(*arguments)
        finally:
            closed.append(True)

    seen: list[Step] = []
    for step in far_steps(far, IDS, 20, WARM, lambda: (), lambda: stops(len(seen))):
        seen.append(step)
    assert len(seen) == 3
    assert closed == [True]
