"""A run elsewhere is the run here: also when that place dies, again and again."""

from __future__ import annotations

import dataclasses
import pickle
from collections.abc import Callable, Generator
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpt2 import SamplingOptions
from gpt2.inference.steps import Request, Step, StepSource
from gpt2.serving import remote
from gpt2.serving.remote import Far, FarRequest, Lost, RemoteSource
from tests.examples import examples
from tests.small import SHORT_PIECE, small_engine

pytestmark = pytest.mark.usefixtures("short_pieces")

ENGINE = small_engine()
WARM = SamplingOptions(seed=4)
IDS = ENGINE.encode("It was late, and the fox was not at home.")
LONG = (IDS * 20)[: SHORT_PIECE + 30]


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "_PAUSE", 0.0)


def source_of(far: Far, name: str = "far") -> RemoteSource:
    here = ENGINE.source
    return RemoteSource(name, here.config, here.precision, far, lambda: here.value_grams)


def near(name: str) -> StepSource:
    assert name == "draft"
    return ENGINE.source


def dying_after(*steps: int) -> Far:
    """Lost after so many steps at the first try, so many at the second, and so on."""
    left = list(steps)

    def far(request: FarRequest) -> Generator[Step, None, None]:
        most = left.pop(0) if left else None
        asked = pickle.loads(pickle.dumps(request))
        for count, step in enumerate(ENGINE.source.steps(asked.near(near))):
            if count == most:
                raise Lost
            yield pickle.loads(pickle.dumps(step))
        if most is not None:
            raise Lost

    return far


def collected(steps: Any) -> tuple[list[int], dict[int, np.ndarray], int]:
    """Tokens, rows by their place, and places fed."""
    tokens, rows, fed = [], {}, 0
    for step in steps:
        assert isinstance(step, Step)
        if step.token is not None:
            tokens.append(step.token)
        for row in range(step.fed):
            rows[fed + row] = step.attention[1][:, row]
        fed += step.fed
    return tokens, rows, fed


@examples(40)
@given(st.lists(st.integers(0, 12), max_size=5), st.sampled_from([IDS, LONG]))
def test_a_run_that_dies_anywhere_goes_on_as_if_nothing_had_been(
    deaths: list[int], ids: list[int]
) -> None:
    request = Request(ids, 20, WARM, lambda: (1,))
    tokens, rows, fed = collected(source_of(dying_after(*deaths)).steps(request))
    wanted = collected(ENGINE.source.steps(request))
    assert (tokens, fed) == (wanted[0], wanted[2])
    assert rows.keys() == wanted[1].keys()
    for place, row in rows.items():
        assert row.shape[-1] >= place + 1
        np.testing.assert_allclose(row[:, : place + 1], wanted[1][place][:, : place + 1], atol=2e-6)


@examples(25)
@given(st.lists(st.integers(0, 8), max_size=4))
def test_what_is_changed_is_changed_at_every_try(deaths: list[int]) -> None:
    request = Request(
        IDS,
        12,
        WARM,
        heads_off={(0, 1): None},
        positions={0: 4, 4: 0},
        heads=True,
        numbers=3,
        forced=[5, 6, 7],
    )
    here = list(ENGINE.source.steps(request))
    there = list(source_of(dying_after(*deaths)).steps(request))
    for steps in (here, there):
        written = [step for step in steps if step.token is not None]
        assert [step.token for step in written[:3]] == [5, 6, 7]
        for step in written:
            assert step.choice is not None and step.choice.chosen is not None
            assert step.choice.chosen.token == step.token
    assert [step.token for step in here] == [step.token for step in there if step.token is not None]
    found, again = (np.concatenate([step.heads for step in steps]) for steps in (here, there))
    np.testing.assert_allclose(again, found, atol=1e-5)
    assert [step.token for step in here] != ENGINE.generate_ids(IDS, 12, WARM)


def test_what_dies_every_time_is_given_up() -> None:
    with pytest.raises(Lost):
        list(source_of(dying_after(*[0] * 50)).steps(Request(IDS, 20, WARM)))


def test_logits_that_were_handed_out_do_not_come_again() -> None:
    request = Request(LONG, logits_from=100)
    pieces = source_of(dying_after(1, 1, 0)).steps(request)
    found = [step.logits for step in pieces if step.logits is not None]
    expected = ENGINE.logits(LONG)[100:]
    np.testing.assert_allclose(np.concatenate(found), expected, atol=1e-5)


def test_a_far_draft_is_found_by_its_name() -> None:
    model, draft = source_of(dying_after()), source_of(dying_after(), "draft")
    steps = list(model.steps(Request(IDS, 40, WARM, draft=draft)))
    assert [step.token for step in steps] == ENGINE.generate_ids(IDS, 40, WARM)
    assert any(step.guess is not None for step in steps)
    with pytest.raises(ValueError, match="where the model is"):
        model.steps(Request(IDS, 40, WARM, draft=ENGINE.source))


def test_what_cannot_fit_is_refused_here() -> None:
    with pytest.raises(ValueError, match="more than the 320"):
        source_of(dying_after()).steps(Request(IDS, 320))


def test_whatever_is_asked_arrives() -> None:
    """A field that is new in `Request` travels by itself."""
    given = {
        field.name: object() for field in dataclasses.fields(Request)
        if field.name not in ("watched", "draft", "paced")
    }  # fmt: skip
    there = FarRequest(Request(**given), (1, 3), "draft").near(near)
    assert {name: getattr(there, name) for name in given} == given
    assert (tuple(there.watched()), there.draft) == ((1, 3), ENGINE.source)


@pytest.mark.parametrize("stops", [lambda seen: seen == 3])
def test_a_stop_closes_the_far_end(stops: Callable[[int], bool]) -> None:
    closed = []

    def far(request: FarRequest) -> Generator[Step, None, None]:
        try:
            yield from dying_after()(request)
        finally:
            closed.append(True)

    seen: list[Step] = []
    request = Request(IDS, 20, WARM, stopped=lambda: stops(len(seen)))
    for step in source_of(far).steps(request):
        seen.append(step)
    assert len(seen) == 3
    assert closed == [True]
