"""What every executor keeps to: the model's numbers, and the same bits in any company."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gpt2.bench.worker import resident_bytes
from gpt2.config import GPT2Config
from gpt2.inference.executor import NOTHING, Executor, Floats, Pass, Watch
from gpt2.inference.torch_executor import TorchExecutor
from gpt2.model import GPT2Model
from tests.compiled import compiled_executor
from tests.examples import examples
from tests.reference import logits_and_maps, ours, random_checkpoint, random_ids

CONFIG = GPT2Config(61, 21, 3, 7, 3, 150, 4)
MODEL = ours(CONFIG, random_checkpoint(CONFIG))
TEXTS = random_ids(CONFIG, batch=4, length=CONFIG.max_seq_len)
IDS = TEXTS.numpy()
LOGITS, MAPS = (
    [each.numpy() for each in found] if isinstance(found, list) else found.numpy()
    for found in logits_and_maps(MODEL, TEXTS)
)
SLOTS = 5
NEAR = 1e-5  # of float32


def as_on_a_gpu(model: GPT2Model, slots: int) -> Executor:
    """Eight rows at a time, on this CPU."""
    executor = TorchExecutor(model, slots)
    executor._rows = 8
    return executor


EXECUTORS: dict[str, Callable[[GPT2Model, int], Executor]] = {
    "torch": TorchExecutor,
    "torch as on a GPU": as_on_a_gpu,
    "compiled": lambda model, slots: compiled_executor(model, "float32", slots),
}


@pytest.fixture(params=EXECUTORS)
def executor(request: pytest.FixtureRequest) -> Executor:
    return EXECUTORS[request.param](MODEL, SLOTS)


@dataclass(frozen=True)
class Feed:
    """Tokens `first` to `end` of a text, for a slot."""

    text: int
    slot: int
    first: int
    end: int


def run(executor: Executor, feeds: list[Feed], watch: Watch = NOTHING) -> list[Floats]:
    """All feeds in one call: the logits of each."""
    passed = passed_by(executor, feeds, watch)
    return np.split(passed.logits, np.cumsum([feed.end - feed.first for feed in feeds])[:-1])


def passed_by(executor: Executor, feeds: list[Feed], watch: Watch = NOTHING) -> Pass:
    rows = [(f.slot, at, IDS[f.text, at]) for f in feeds for at in range(f.first, f.end)]
    slots, positions, ids = np.array(rows, np.int64).T
    return executor.run(ids, positions, slots, np.arange(len(rows)), watch)


def read(executor: Executor, text: int, slot: int, cuts: list[int]) -> Floats:
    """A text from its beginning, cut into calls of its own: all logits."""
    feeds = [Feed(text, slot, first, end) for first, end in pairwise([0, *cuts])]
    return np.concatenate([run(executor, [feed])[0] for feed in feeds])


CUTS = st.sets(st.integers(1, CONFIG.max_seq_len), min_size=1, max_size=12).map(sorted)


@given(cuts=CUTS)
@examples(8)
@pytest.mark.parametrize("name", EXECUTORS)
def test_a_prompt_in_any_pieces_is_the_whole(name: str, cuts: list[int]) -> None:
    found = read(EXECUTORS[name](MODEL, 1), 1, 0, cuts)
    np.testing.assert_allclose(found, LOGITS[1, : cuts[-1]], atol=NEAR, rtol=0)


LENGTHS = st.lists(st.integers(1, CONFIG.max_seq_len - 9), min_size=4, max_size=4)
COUNTS = st.lists(st.sampled_from([1, 1, 1, 2, 5, 9]), min_size=4, max_size=4)
LAYERS = st.lists(st.sampled_from([(), (0, 2), (1,), (0, 1, 2)]), min_size=4, max_size=4)


@given(lengths=LENGTHS, counts=COUNTS, watched=LAYERS)
@examples(10)
@pytest.mark.parametrize("name", EXECUTORS)
def test_rows_have_the_same_bits_in_any_company_and_watched_or_not(
    name: str, lengths: list[int], counts: list[int], watched: list[tuple[int, ...]]
) -> None:
    """Tokens, guesses to check and pieces of prompts, of four texts in one call and each alone."""
    executor = EXECUTORS[name](MODEL, SLOTS)
    slots = [3, 0, 4, 1]
    feeds = [
        Feed(text, slot, length, length + count)
        for text, (slot, length, count) in enumerate(zip(slots, lengths, counts, strict=True))
    ]
    for feed in feeds:
        read(executor, feed.text, feed.slot, [feed.first])
    alone = [run(executor, [feed])[0] for feed in feeds]
    watch = Watch(dict(zip(slots, watched, strict=True)), residual=True)
    beside = Feed(0, 2, 0, 40)  # a piece of somebody's prompt
    passed = passed_by(executor, [*feeds, beside], watch)
    at = 0
    for feed, own, layers in zip(feeds, alone, watched, strict=True):
        rows = slice(at, at + feed.end - feed.first)
        at = rows.stop
        assert np.array_equal(passed.logits[rows], own)
        np.testing.assert_allclose(own, LOGITS[feed.text, feed.first : feed.end], atol=NEAR, rtol=0)
        assert tuple(passed.attention.get(feed.slot, {})) == layers
        for layer in layers:
            whole = MAPS[layer][feed.text, :, feed.first : feed.end, : feed.end]
            np.testing.assert_allclose(passed.attention[feed.slot][layer], whole, atol=NEAR)
            assert passed.values[feed.slot][layer].shape == (
                CONFIG.num_heads,
                feed.end - feed.first,
                CONFIG.hidden_dimension,
            )


def test_guesses_have_the_bits_they_would_have_one_by_one(executor: Executor) -> None:
    read(executor, 2, 1, [50])
    together = run(executor, [Feed(2, 1, 50, 59)])[0]
    singles = [run(executor, [Feed(2, 1, at, at + 1)])[0] for at in range(50, 59)]
    assert np.array_equal(together, np.concatenate(singles))


def test_a_later_row_overwrites_what_stood_there(executor: Executor) -> None:
    """A wrong guess, and the whole of an earlier text in the slot."""
    read(executor, 0, 1, [150])
    read(executor, 2, 1, [60])
    run(executor, [Feed(0, 1, 60, 69)])
    found = run(executor, [Feed(2, 1, 60, 65)])[0]
    np.testing.assert_allclose(found, LOGITS[2, 60:65], atol=NEAR, rtol=0)


def test_only_the_rows_asked_for_have_logits_and_in_that_order(executor: Executor) -> None:
    ids, positions = IDS[1, :40], np.arange(40)
    wanted = np.array([39, 0, 17])
    found = executor.run(ids, positions, np.zeros(40, np.int64), wanted).logits
    np.testing.assert_allclose(found, LOGITS[1, wanted], atol=NEAR, rtol=0)
    assert found.dtype == np.float32
    none = executor.run(ids, positions, np.zeros(40, np.int64), wanted[:0]).logits
    assert none.shape == (0, CONFIG.vocab_size)


@pytest.mark.parametrize("cut", [1, 2, 30])
def test_the_residual_stream_is_the_model_s(executor: Executor, cut: int) -> None:
    stream = np.concatenate(
        [
            found
            for first, end in ((0, cut), (cut, 40))
            if (
                found := passed_by(
                    executor, [Feed(3, 0, first, end)], Watch(residual=True)
                ).residual
            )
            is not None
        ]
    )
    assert stream.shape == (40, 2 * CONFIG.num_blocks + 1, CONFIG.embedding_dimension)
    with torch.no_grad():
        x = MODEL.wte(TEXTS[3, :40]) + MODEL.wpe(torch.arange(40))
        np.testing.assert_allclose(stream[:, 0], x, atol=NEAR)
        for layer, block in enumerate(MODEL.h):
            after = torch.from_numpy(stream[:, 2 * layer + 1])
            expected = after + block.mlp(block.ln_2(after))
            np.testing.assert_allclose(stream[:, 2 * layer + 2], expected, atol=NEAR)
        last = MODEL.wte.logits(MODEL.ln_f(torch.from_numpy(stream[:, -1])))
    np.testing.assert_allclose(last, LOGITS[3, :40], atol=NEAR)


def test_a_head_switched_off_adds_nothing_or_what_stands_in_for_it(executor: Executor) -> None:
    stand_in = np.arange(7, dtype=np.float32) / 7
    off: dict[tuple[int, int], Floats | None] = {(1, 2): None, (0, 1): stand_in}
    found = run(executor, [Feed(0, 3, 0, 30), Feed(1, 0, 0, 30)], Watch(heads_off={3: off}))
    without = ours(CONFIG, random_checkpoint(CONFIG))
    width = CONFIG.hidden_dimension
    with torch.no_grad():
        without.h[1].attn.c_proj.weight[:, 2 * width : 3 * width] = 0
        mine = without.h[0].attn.c_proj
        mine.bias += mine.weight[:, width : 2 * width] @ torch.from_numpy(stand_in)
        mine.weight[:, width : 2 * width] = 0
        np.testing.assert_allclose(found[0], without(TEXTS[:1, :30])[0], atol=NEAR)
    np.testing.assert_allclose(found[1], LOGITS[1, :30], atol=NEAR)  # nobody else's is touched


def test_a_position_may_stand_in_for_another(executor: Executor) -> None:
    watch = Watch(positions={2: {0: 9, 5: 1}})
    found = run(executor, [Feed(0, 2, 0, 30), Feed(1, 0, 0, 30)], watch)
    places = torch.arange(30)
    places[0], places[5] = 9, 1
    with torch.no_grad():
        np.testing.assert_allclose(found[0], MODEL(TEXTS[:1, :30], places)[0], atol=NEAR)
    np.testing.assert_allclose(found[1], LOGITS[1, :30], atol=NEAR)


def test_value_grams_are_products_of_the_output_projection(executor: Executor) -> None:
    grams = executor.value_grams
    assert grams.dtype == np.float32
    for layer, block in enumerate(MODEL.h):
        for head in range(CONFIG.num_heads):
            part = block.attn.c_proj.weight[:, 7 * head : 7 * head + 7].detach().numpy()
            np.testing.assert_allclose(grams[layer, head], part.T @ part, rtol=1e-4, atol=1e-6)


def test_what_was_forgotten_is_read_again(executor: Executor) -> None:
    first = read(executor, 1, 0, [60])
    executor.forget()
    assert np.array_equal(read(executor, 1, 0, [60]), first)


def test_slots_take_memory_only_as_texts_grow_into_them() -> None:
    """Eight whole contexts of the smallest public size would be 604 MB."""
    thin = GPT2Config(50, 768, 12, 64, 12, 1024, 1)
    executor = TorchExecutor(GPT2Model.from_config(thin).eval(), 8)
    before = resident_bytes("RssAnon")
    executor.run(np.array([1]), np.array([0]), np.array([7]), np.array([0]))
    assert resident_bytes("RssAnon") - before < 50_000_000


def test_what_heads_found_is_what_the_projection_reads(executor: Executor) -> None:
    feeds = [Feed(0, 3, 0, 30), Feed(1, 0, 0, 2)]
    passed = passed_by(executor, feeds, Watch(heads=True))
    assert passed.heads is not None
    assert passed.heads.shape == (32, CONFIG.num_blocks, CONFIG.num_heads, CONFIG.hidden_dimension)
    kept: list[torch.Tensor] = []
    hooks = [
        block.attn.c_proj.register_forward_pre_hook(lambda _, inputs: kept.append(inputs[0][0]))
        for block in MODEL.h
    ]
    with torch.no_grad():
        MODEL(TEXTS[:1, :30])
    for hook in hooks:
        hook.remove()
    for layer, found in enumerate(kept):
        mine = passed.heads[:30, layer].reshape(30, -1)
        np.testing.assert_allclose(mine, found, atol=NEAR)


@pytest.mark.parametrize("cuts", [[30], [1, 3, 20, 30]])
def test_a_head_replaced_by_its_own_output_changes_no_bit(
    executor: Executor, cuts: list[int]
) -> None:
    """The control of every experiment, with a row for each position."""
    feeds = [Feed(0, 3, first, end) for first, end in pairwise([0, *cuts])]
    passes = [passed_by(executor, [feed], Watch(heads=True)) for feed in feeds]
    found = np.concatenate([each.heads for each in passes if each.heads is not None])
    own: dict[tuple[int, int], Floats | None] = {
        head: np.ascontiguousarray(found[:, head[0], head[1]])
        for head in np.ndindex(CONFIG.num_blocks, CONFIG.num_heads)
    }
    again = [run(executor, [feed], Watch(heads_off={3: own}))[0] for feed in feeds]
    assert np.array_equal(np.concatenate(again), np.concatenate([p.logits for p in passes]))
    assert not np.array_equal(
        run(executor, [Feed(0, 3, 0, 30)], Watch(heads_off={3: {(1, 1): None}}))[0],
        run(executor, [Feed(0, 3, 0, 30)])[0],
    )


def test_what_stands_in_for_a_head_is_not_what_it_found(executor: Executor) -> None:
    plain = passed_by(executor, [Feed(0, 3, 0, 30)], Watch(heads=True)).heads
    off = Watch(heads=True, heads_off={3: {(0, 1): None}})
    changed = passed_by(executor, [Feed(0, 3, 0, 30)], off).heads
    assert plain is not None and changed is not None
    assert np.array_equal(changed[:, 0], plain[:, 0])
    assert not np.array_equal(changed[:, 1], plain[:, 1])


def test_a_stream_put_in_place_of_another_is_read_on_from_there(executor: Executor) -> None:
    clean = passed_by(executor, [Feed(1, 0, 0, 20)], Watch(residual=True)).residual
    assert clean is not None
    instead = {(2, 4): clean[4, 4], (0, 19): clean[19, 0]}
    feeds = [Feed(0, 3, 0, 20), Feed(2, 1, 0, 20)]
    found = run(executor, feeds, Watch(stream={3: instead}))

    def change(_: object, inputs: tuple[torch.Tensor, ...], layer: int) -> tuple[object, ...]:
        x = inputs[0].clone()
        for (at, position), vector in instead.items():
            if at == layer:
                x[0, position] = torch.from_numpy(vector)
        return (x, *inputs[1:])

    hooks = [
        block.register_forward_pre_hook(partial(change, layer=layer))
        for layer, block in enumerate(MODEL.h)
    ]
    with torch.no_grad():
        expected = MODEL(TEXTS[:1, :20])[0].numpy()
    for hook in hooks:
        hook.remove()
    np.testing.assert_allclose(found[0], expected, atol=NEAR)
    np.testing.assert_allclose(found[1], LOGITS[2, :20], atol=NEAR)  # nobody else's is touched


def test_a_stream_put_in_place_of_itself_changes_no_bit(executor: Executor) -> None:
    feed = Feed(1, 0, 0, 20)
    plain = passed_by(executor, [feed], Watch(residual=True))
    assert plain.residual is not None
    own = {
        (layer, at): plain.residual[at, 2 * layer]
        for layer in range(CONFIG.num_blocks)
        for at in range(20)
    }
    again = passed_by(executor, [feed], Watch(residual=True, stream={0: own}))
    assert np.array_equal(again.logits, plain.logits)
    assert again.residual is not None
    assert np.array_equal(again.residual, plain.residual)
