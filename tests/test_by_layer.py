"""A block of layers and a dict of them are one to whoever reads."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch

from gpt2.by_layer import ByLayer, in_numpy, stacked

BLOCK = torch.randn(2, 3, 4)
ONE = ByLayer([5, 1], BLOCK)


def test_it_is_a_mapping_from_layer_to_array() -> None:
    assert list(ONE) == [5, 1]
    assert len(ONE) == 2
    assert torch.equal(ONE[1], BLOCK[1])
    assert 0 not in ONE
    with pytest.raises(KeyError):
        ONE[0]


def test_block_and_dict_are_the_same_in_numpy() -> None:
    half = ByLayer(list(ONE), BLOCK.bfloat16())
    for arrays in (half, dict(half)):
        converted = in_numpy(arrays)
        assert list(converted) == [5, 1]
        assert converted[5].dtype == np.float32
        np.testing.assert_array_equal(stacked(converted), BLOCK.bfloat16().float().numpy())


def test_a_block_is_not_copied() -> None:
    assert np.shares_memory(stacked(in_numpy(ONE)), BLOCK.numpy())


def test_what_is_pickled_is_what_is_seen_and_no_more() -> None:
    """Rows of one token are a view of those of many."""
    many = np.zeros((2, 3, 1000, 4), np.float32)
    sent = pickle.dumps(ByLayer([0, 1], many[:, :, :1]))
    assert len(sent) < 1000
    assert pickle.loads(sent)[1].shape == (3, 1, 4)
