"""Feeding a text piece by piece gives what feeding it at once gives."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gpt2.config import GPT2Config
from gpt2.model import KVCache
from tests.examples import examples
from tests.reference import logits_and_maps, ours, random_checkpoint, random_ids

CONFIG = GPT2Config(61, 21, 3, 7, 3, 19, 4)
MODEL = ours(CONFIG, random_checkpoint(CONFIG))
IDS = random_ids(CONFIG, batch=2, length=19)
LOGITS, _ = logits_and_maps(MODEL, IDS)


def read(cache: KVCache, ids: torch.Tensor) -> torch.Tensor:
    """Logits of `ids` after what the cache holds."""
    return MODEL(ids, cache.positions(ids.size(1)), cache)


@given(cuts=st.sets(st.integers(1, 18)))
@examples(20)
def test_cached_is_uncached_for_uneven_chunks(cuts: set[int]) -> None:
    cache = KVCache(CONFIG, capacity=19, batch=2)
    ends = [*sorted(cuts), 19]
    logits = []
    with torch.no_grad():
        for start, end in zip([0, *ends[:-1]], ends, strict=True):
            logits.append(read(cache, IDS[:, start:end]))
            assert cache.length == end
    torch.testing.assert_close(torch.cat(logits, dim=1), LOGITS, atol=2e-5, rtol=0)


@torch.no_grad()
def test_an_interrupted_pass_leaves_the_cache_as_it_was() -> None:
    cache = KVCache(CONFIG, capacity=19, batch=2)
    read(cache, IDS[:, :6])

    def interrupted(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, layer: int) -> torch.Tensor:
        if layer == 2:
            raise KeyboardInterrupt
        return cache(q, k, v, layer)

    with pytest.raises(KeyboardInterrupt):
        MODEL(IDS[:, 6:9], cache.positions(3), interrupted)
    assert cache.length == 6
    torch.testing.assert_close(read(cache, IDS[:, 6:]), LOGITS[:, 6:], atol=2e-5, rtol=0)


@torch.no_grad()
def test_a_full_cache_says_how_full() -> None:
    cache = KVCache(CONFIG, capacity=4, batch=2)
    read(cache, IDS[:, :3])
    with pytest.raises(ValueError, match="room for 4 tokens, not 5"):
        read(cache, IDS[:, 3:5])


def test_no_cache_holds_more_than_the_context() -> None:
    with pytest.raises(ValueError, match="20 tokens do not fit a context of 19"):
        KVCache(CONFIG, capacity=20)
