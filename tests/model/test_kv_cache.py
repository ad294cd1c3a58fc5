"""Feeding a text piece by piece gives what feeding it at once gives."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gpt2.config import GPT2Config
from gpt2.model import AttentionRecorder, KVCache
from tests.reference import logits_and_maps, ours, random_checkpoint, random_ids

CONFIG = GPT2Config(61, 21, 3, 7, 3, 19, 4)
MODEL = ours(CONFIG, random_checkpoint(CONFIG))
IDS = random_ids(CONFIG, batch=2, length=19)
LOGITS, MAPS = logits_and_maps(MODEL, IDS)


@given(cuts=st.sets(st.integers(1, 18)))
@settings(deadline=None, max_examples=20)
def test_cached_is_uncached_for_uneven_chunks(cuts: set[int]) -> None:
    cache = KVCache(CONFIG, capacity=19, batch=2)
    ends = [*sorted(cuts), 19]
    rows: list[list[torch.Tensor]] = [[] for _ in range(CONFIG.num_blocks)]
    recorder = AttentionRecorder(lambda _: True, lambda layer, weights: rows[layer].append(weights))
    logits = []
    with torch.no_grad():
        for start, end in zip([0, *ends[:-1]], ends, strict=True):
            logits.append(MODEL(IDS[:, start:end], cache, recorder))
            assert cache.length == end
    torch.testing.assert_close(torch.cat(logits, dim=1), LOGITS, atol=2e-5, rtol=0)
    for pieces, whole in zip(rows, MAPS, strict=True):
        padded = [torch.nn.functional.pad(piece, (0, 19 - piece.size(-1))) for piece in pieces]
        torch.testing.assert_close(torch.cat(padded, dim=-2), whole, atol=2e-5, rtol=0)


@torch.no_grad()
def test_the_fused_kernel_reads_the_cache_the_same_way() -> None:
    cache = KVCache(CONFIG, capacity=19, batch=2)
    pieces = [MODEL(IDS[:, start:end], cache) for start, end in [(0, 5), (5, 6), (6, 17), (17, 19)]]
    torch.testing.assert_close(torch.cat(pieces, dim=1), LOGITS, atol=2e-5, rtol=0)


@torch.no_grad()
def test_a_roomier_cache_changes_nothing() -> None:
    roomy = KVCache(CONFIG, capacity=1000, batch=2)
    torch.testing.assert_close(MODEL(IDS, roomy), LOGITS, atol=2e-5, rtol=0)


@torch.no_grad()
def test_an_interrupted_pass_leaves_the_cache_as_it_was() -> None:
    cache = KVCache(CONFIG, capacity=19, batch=2)
    MODEL(IDS[:, :6], cache)

    def interrupt(layer: int, weights: torch.Tensor) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        MODEL(IDS[:, 6:9], cache, AttentionRecorder(lambda layer: layer == 2, interrupt))
    assert cache.length == 6
    torch.testing.assert_close(MODEL(IDS[:, 6:], cache), LOGITS[:, 6:], atol=2e-5, rtol=0)


@torch.no_grad()
@pytest.mark.parametrize("kept", [0, 1, 6, 9])
def test_a_rewound_cache_is_one_that_never_read_further(kept: int) -> None:
    cache = KVCache(CONFIG, capacity=19, batch=2)
    if kept:
        MODEL(IDS[:, :kept], cache)
    MODEL(IDS[:, kept : kept + 10].flip(1), cache)  # another text, to be forgotten
    cache.rewind(kept)
    torch.testing.assert_close(MODEL(IDS[:, kept:], cache), LOGITS[:, kept:], atol=2e-5, rtol=0)


def test_a_cache_cannot_be_rewound_to_what_it_never_read() -> None:
    cache = KVCache(CONFIG, capacity=19, batch=2)
    with pytest.raises(ValueError, match="holds 0 tokens and cannot keep 3"):
        cache.rewind(3)


@torch.no_grad()
def test_a_full_cache_says_how_full() -> None:
    cache = KVCache(CONFIG, capacity=4, batch=2)
    MODEL(IDS[:, :3], cache)
    with pytest.raises(ValueError, match="room for 4 tokens, not 5"):
        MODEL(IDS[:, 3:5], cache)


@torch.no_grad()
def test_cached_tokens_count_towards_the_context() -> None:
    cache = KVCache(CONFIG, capacity=40, batch=2)
    MODEL(IDS, cache)
    with pytest.raises(ValueError, match="20 tokens do not fit a context of 19"):
        MODEL(IDS[:, :1], cache)
