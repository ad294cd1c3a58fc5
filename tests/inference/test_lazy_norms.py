"""Norms that are worked out together are those that each pass would have got alone."""

from __future__ import annotations

import gc
import pickle
import weakref
from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from gpt2.inference.executor import Floats
from gpt2.inference.lazy_norms import LazyNorms, value_norms
from tests.small import CONFIG, small_engine, until

ENGINE = small_engine()
NORMS = partial(value_norms, ENGINE.source.value_grams)
HEADS, WIDTH = CONFIG.num_heads, CONFIG.hidden_dimension


def values(fed: int, layers: Sequence[int], seed: int) -> Floats:
    random = np.random.default_rng(seed)
    return random.standard_normal((len(layers), HEADS, fed, WIDTH), np.float32)


@given(
    st.lists(st.tuples(st.sampled_from([1, 1, 1, 5, 20]), st.booleans()), max_size=40),
    st.data(),
)
def test_whenever_they_are_asked_for(passes: list[tuple[int, bool]], data: st.DataObject) -> None:
    later = LazyNorms(NORMS)
    told: list[Mapping[int, Floats]] = []
    made = []
    for seed, (fed, all_layers) in enumerate(passes):
        layers = list(range(CONFIG.num_blocks)) if all_layers else [1]
        made.append((layers, values(fed, layers, seed)))
        told.append(later(*made[-1]))
        if data.draw(st.booleans()):
            told[data.draw(st.integers(0, seed))][1]
    for (layers, one), norms in zip(made, told, strict=True):
        alone = NORMS(layers, one)
        assert list(norms) == layers
        for place, layer in enumerate(layers):
            np.testing.assert_allclose(norms[layer], alone[place], rtol=1e-5)


def test_a_vector_is_as_long_as_what_the_head_adds_to_the_stream() -> None:
    read = values(3, [1], 0)
    weight = ENGINE.model.h[1].attn.c_proj.weight  # (C, H D)
    parts = weight.view(weight.size(0), HEADS, WIDTH)
    added = torch.einsum("chd,htd->htc", parts, torch.from_numpy(read[0]))
    found = LazyNorms(NORMS)([1], read)
    np.testing.assert_allclose(found[1], added.norm(dim=-1), rtol=1e-4)


def test_the_matrices_are_fetched_for_many_tokens_at_a_time() -> None:
    asked = []

    def counted(layers: Sequence[int], v: Floats) -> Floats:
        asked.append(v.shape[2])
        return NORMS(layers, v)

    later = LazyNorms(counted)
    told = [later([0, 1], values(1, [0, 1], n)) for n in range(40)]
    assert asked == [16, 16]
    told[-1][0]
    assert asked == [16, 16, 8]


def test_whoever_keeps_them_does_not_keep_the_model() -> None:
    """Dropping it would not free its memory for the next one."""
    engine = small_engine()
    layers = range(CONFIG.num_blocks)
    told = [event.norms for event in engine.stream("Once", new_tokens=20, attention=layers)]
    model = weakref.ref(engine.model)
    del engine
    assert until(lambda: gc.collect() >= 0 and model() is None)  # its thread may still be ending
    assert told[0][0].size and told[-2][0].size


def test_they_travel_as_numbers() -> None:
    told = LazyNorms(NORMS)([0, 1], values(2, [0, 1], 0))
    far = pickle.loads(pickle.dumps(told))
    assert type(far) is dict
    for layer in told:
        assert np.array_equal(far[layer], told[layer])


def test_a_layer_nobody_watched_is_not_there() -> None:
    assert 0 not in LazyNorms(NORMS)([1], values(1, [1], 0))
