"""What a replica does, without a cluster: `test_ray.py` has one."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from gpt2 import SamplingOptions, load
from gpt2.inference.steps import Request, Step
from gpt2.serving.ray_cluster import Replica
from gpt2.serving.remote import FarRequest
from tests.asynchronous import run as run_async

WARM = SamplingOptions(0.8, seed=3)
IDS = [5, 6, 7]


@pytest.fixture(scope="module")
def replica() -> Replica:
    return Replica("tiny", "float32")


def asked(layers: tuple[int, ...] = (), draft: str | None = None) -> FarRequest:
    return FarRequest(Request(IDS, 30, WARM), layers, draft)


def written(replica: Replica, request: FarRequest) -> list[Step]:
    async def collect() -> list[Step]:
        far = pickle.loads(pickle.dumps(request))
        return [pickle.loads(pickle.dumps(step)) async for step in replica.write(far)]

    return run_async(collect())


def test_it_writes_and_watches_as_this_process_would(replica: Replica) -> None:
    here = list(load("tiny").source.steps(Request(IDS, 30, WARM, lambda: (2,))))
    there = written(replica, asked(layers=(2,)))
    assert [(step.token, step.fed) for step in there] == [(step.token, step.fed) for step in here]
    for ours, theirs in zip(here, there, strict=True):
        assert np.array_equal(ours.attention[2], theirs.attention[2])
        assert np.array_equal(ours.values[2], theirs.values[2])


def test_it_drafts_with_a_model_it_loads_itself(replica: Replica) -> None:
    steps = written(replica, asked(draft="tiny"))
    assert [s.token for s in steps] == [s.token for s in written(replica, asked())]
    assert any(step.guess is not None for step in steps)


def test_it_says_how_it_computes(replica: Replica) -> None:
    engine = load("tiny")
    assert run_async(replica.precision()) == engine.precision
    grams = run_async(replica.value_grams())
    assert np.array_equal(grams, engine.source.value_grams)


def test_who_leaves_ends_the_run(replica: Replica) -> None:
    async def leave() -> list[Step]:
        steps = replica.write(asked())
        first = [await anext(steps) for _ in range(3)]
        await steps.aclose()  # type: ignore[attr-defined]  # an async generator
        return first

    assert len(run_async(leave())) == 3
    assert written(replica, asked())
