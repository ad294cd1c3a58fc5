"""Several texts in one pass: each gets what it gets alone, and what a pass over all of it gives."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gpt2.bench.worker import resident_bytes
from gpt2.config import GPT2Config
from gpt2.model import RaggedBatch, SlotCache, SlotReader
from tests.reference import logits_and_maps, ours, random_checkpoint, random_ids

CONFIG = GPT2Config(61, 21, 3, 7, 3, 150, 4)
MODEL = ours(CONFIG, random_checkpoint(CONFIG))
TEXTS = random_ids(CONFIG, batch=4, length=CONFIG.max_seq_len)
LOGITS, MAPS = logits_and_maps(MODEL, TEXTS)
LENGTHS = st.lists(st.integers(1, CONFIG.max_seq_len - 3), min_size=4, max_size=4)


PIECE = 60


def read(cache: SlotCache, slot: int, text: int, length: int) -> torch.Tensor:
    """Fill a slot with the beginning of a text, in pieces; the pieces' logits."""
    logits = [
        MODEL(TEXTS[text : text + 1, at : min(at + PIECE, length)], SlotReader(cache, slot, at))
        for at in range(0, length, PIECE)
    ]
    return torch.cat(logits, dim=1)[0]


@torch.inference_mode()
@given(lengths=LENGTHS, steps=st.integers(1, 3), spare=st.integers(0, 4))
@settings(deadline=None, max_examples=25)
def test_ragged_texts_get_the_logits_and_maps_of_whole_passes(
    lengths: list[int], steps: int, spare: int
) -> None:
    cache = SlotCache(CONFIG, slots=5)
    slots = [3, 0, 4, 1]
    watched: list[tuple[int, ...]] = [(0, 2), (), (1,), (0, 1, 2)]
    for text, (slot, length) in enumerate(zip(slots, lengths, strict=True)):
        torch.testing.assert_close(
            read(cache, slot, text, length), LOGITS[text, :length], atol=1e-5, rtol=0
        )
    batch = RaggedBatch(cache, slots, lengths, spare)
    for step in range(steps):
        batch.watch(watched)
        at = [length + step for length in lengths]
        new = torch.cat((TEXTS[range(4), at], torch.zeros(spare, dtype=torch.int64)))[:, None]
        logits = MODEL(new, batch, batch.attend)[:4, 0]
        torch.testing.assert_close(logits, LOGITS[range(4), at], atol=1e-5, rtol=0)
        for text, place in enumerate(at):
            assert tuple(batch.seen[text]) == watched[text]
            for layer, weights in batch.seen[text].items():  # (H, 1, S)
                whole = MAPS[layer][text, :, place, : place + 1]
                torch.testing.assert_close(weights[:, 0], whole, atol=1e-5, rtol=0)


@torch.inference_mode()
@given(lengths=LENGTHS, seed=st.integers(0, 1000), watched=st.booleans())
@settings(deadline=None, max_examples=25)
def test_a_text_attends_to_the_last_bit_as_if_alone_and_unwatched(
    lengths: list[int], seed: int, watched: bool
) -> None:
    torch.manual_seed(seed)
    heads, width = CONFIG.num_heads, CONFIG.hidden_dimension
    cache = SlotCache(CONFIG, slots=4)
    cache.keys[0].normal_()
    cache.values[0].normal_()
    q, k, v = torch.randn(3, 4, heads, 1, width)
    together = RaggedBatch(cache, range(4), lengths)
    together.watch([(0,) if watched else ()] * 4)
    all_of_them = together.attend(q, *together.extend(0, k, v), 0)
    for slot, length in enumerate(lengths):
        alone = RaggedBatch(cache, [slot], [length])
        mine = slice(slot, slot + 1)
        one = alone.attend(q[mine], *alone.extend(0, k[mine], v[mine]), 0)
        assert torch.equal(one, all_of_them[mine])


@torch.inference_mode()
def test_what_a_slot_held_before_reaches_nobody() -> None:
    cache = SlotCache(CONFIG, slots=2)
    for layer in range(CONFIG.num_blocks):
        cache.keys[layer].fill_(torch.nan)
        cache.values[layer].fill_(torch.nan)
    torch.testing.assert_close(read(cache, 1, 2, 70), LOGITS[2, :70], atol=1e-5, rtol=0)
    batch = RaggedBatch(cache, [1], [70])
    logits = MODEL(TEXTS[2:3, 70:71], batch, batch.attend)[0, 0]
    torch.testing.assert_close(logits, LOGITS[2, 70], atol=1e-5, rtol=0)


def test_slots_take_memory_only_as_texts_grow_into_them() -> None:
    """Eight whole contexts of the smallest public size would be 604 MB."""
    before = resident_bytes("RssAnon")
    cache = SlotCache(GPT2Config(), 8)
    assert sum(t.nbytes for t in (*cache.keys, *cache.values)) == 603_979_776
    assert resident_bytes("RssAnon") - before < 50_000_000
