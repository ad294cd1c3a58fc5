"""A block of layers and a dict of them are one to whoever reads."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from gpt2.inference.layer_stack import LayerStack, stacked

BLOCK = np.random.default_rng(0).standard_normal((2, 3, 4), np.float32)
ONE = LayerStack([5, 1], BLOCK)


def test_it_is_a_mapping_from_layer_to_array() -> None:
    assert list(ONE) == [5, 1]
    assert len(ONE) == 2
    assert np.array_equal(ONE[1], BLOCK[1])
    assert 0 not in ONE
    with pytest.raises(KeyError):
        ONE[0]


def test_block_and_dict_are_stacked_alike_and_a_block_is_not_copied() -> None:
    assert np.array_equal(stacked(dict(ONE)), BLOCK)
    assert stacked(ONE) is BLOCK


def test_what_is_pickled_is_what_is_seen_and_no_more() -> None:
    """Rows of one token are a view of those of many."""
    many = np.zeros((2, 3, 1000, 4), np.float32)
    sent = pickle.dumps(LayerStack([0, 1], many[:, :, :1]))
    assert len(sent) < 1000
    assert pickle.loads(sent)[1].shape == (3, 1, 4)
