"""The compiled pass against the readable model, and against itself in other company."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gpt2.config import GPT2Config
from gpt2.cpu import PRECISIONS, CompiledExecutor
from gpt2.inference.executor import Pass, Watch
from gpt2.model import GPT2Model
from tests.cpu.models import ODD, SHAPES, USUAL, executor, readable, text_ids

# Mean divergence from float32, in nats, that a precision may have on these wide random models.
MOST = {"float32": 1e-9, "float16": 1e-5, "int8": 1e-3, "int4": 0.5}
each_precision = pytest.mark.parametrize("precision", PRECISIONS)
each_shape = pytest.mark.parametrize("shape", SHAPES)


def run(made: CompiledExecutor, ids: np.ndarray, first: int, slot: int, **watch: object) -> Pass:
    """`ids` from place `first` of a slot on, with all their logits."""
    places = np.arange(first, first + len(ids))
    every = np.arange(len(ids))
    return made.run(ids, places, np.full(len(ids), slot), every, Watch(**watch))  # type: ignore[arg-type]  # named by the tests


def divergence(reference: np.ndarray, other: np.ndarray) -> float:
    p = torch.tensor(reference).double().log_softmax(-1)
    q = torch.tensor(other).double().log_softmax(-1)
    return float((p.exp() * (p - q)).sum(-1).mean())


def of_readable(model: GPT2Model, ids: np.ndarray) -> np.ndarray:
    return model(torch.tensor(ids)[None])[0].numpy()


@each_precision
@each_shape
@pytest.mark.parametrize("outliers", [False, True])
def test_it_computes_what_the_model_computes(shape: str, precision: str, outliers: bool) -> None:
    config = SHAPES[shape]
    ids = text_ids(config, 60)
    found = run(executor(config, precision, outliers=outliers), ids, 0, 0).logits
    expected = of_readable(readable(config, outliers), ids)
    assert divergence(expected, found) < MOST[precision] * (10 if outliers else 1)
    if precision == "float32":
        assert np.abs(found - expected).max() < 1e-5 * np.abs(expected).max()


@each_precision
@each_shape
def test_a_row_has_the_same_bits_alone_in_pieces_and_in_company(shape: str, precision: str) -> None:
    config = SHAPES[shape]
    made = executor(config, precision)
    ids = text_ids(config, 60)
    whole = run(made, ids, 0, 0).logits
    alone = [run(made, ids[i : i + 1], i, 1).logits[0] for i in range(len(ids))]
    np.testing.assert_array_equal(whole, alone)
    pieces = [run(made, ids[i : i + 7], i, 2).logits for i in range(0, len(ids), 7)]
    np.testing.assert_array_equal(whole, np.concatenate(pieces))
    # One token of this text, a piece of another, three guesses of a third.
    other = text_ids(config, 60, seed=1)
    run(made, other[:20], 0, 3)
    rows = np.concatenate([ids[40:41], other[20:40], ids[10:13]])
    places = np.concatenate([[40], np.arange(20, 40), [10, 11, 12]])
    slots = np.array([0] + [3] * 20 + [1] * 3)
    mixed = made.run(rows, places, slots, np.array([0, 21, 22, 23])).logits
    np.testing.assert_array_equal(mixed, whole[[40, 10, 11, 12]])


@each_precision
def test_threads_change_no_bit(precision: str) -> None:
    ids = text_ids(USUAL, 50)
    expected = run(executor(USUAL, precision, threads=1), ids, 0, 0).logits
    for threads in (2, 3, 8):
        made = executor(USUAL, precision, threads=threads)
        np.testing.assert_array_equal(run(made, ids, 0, 0).logits, expected)
        for i in range(len(ids)):
            alone = run(made, ids[i : i + 1], i, 1).logits[0]
            np.testing.assert_array_equal(alone, expected[i])


@each_precision
@each_shape
def test_watching_changes_no_bit_and_shows_what_happened(shape: str, precision: str) -> None:
    config = SHAPES[shape]
    made = executor(config, precision)
    ids = text_ids(config, 60)
    unwatched = run(made, ids, 0, 0).logits
    layers = range(config.num_blocks)
    watched = run(made, ids, 0, 1, attention={1: layers}, residual=True)
    np.testing.assert_array_equal(watched.logits, unwatched)
    weights = np.stack([watched.attention[1][layer] for layer in layers])
    np.testing.assert_allclose(weights.sum(-1), 1, atol=1e-5)
    assert not weights[..., np.triu(np.ones((60, 60), bool), 1)].any()
    seen: dict[int, np.ndarray] = {}

    def attend(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, layer: int) -> torch.Tensor:
        scores = q @ k.transpose(-2, -1) / q.size(-1) ** 0.5
        mask = torch.ones(scores.shape[-2:]).tril().bool()
        probability = scores.masked_fill(~mask, -torch.inf).softmax(-1)
        seen[layer] = probability[0].numpy()
        return probability @ v

    readable(config)(torch.tensor(ids)[None], attend=attend)
    tolerance = {"float32": 1e-5, "float16": 5e-3, "int8": 0.1, "int4": 1.0}[precision]
    np.testing.assert_allclose(weights, np.stack([seen[layer] for layer in layers]), atol=tolerance)
    # Token by token it is the same picture.
    for i in (0, 33, 59):
        one = run(made, ids[i : i + 1], i, 1, attention={1: [1]}, residual=True)
        np.testing.assert_array_equal(one.attention[1][1][:, 0], weights[1, :, i, : i + 1])
        np.testing.assert_array_equal(one.values[1][1][:, 0], watched.values[1][1][:, i])
        np.testing.assert_array_equal(one.residual[0], watched.residual[i])


def test_only_who_watches_is_shown_anything() -> None:
    made = executor(USUAL, "int8")
    ids = text_ids(USUAL, 2)
    both = made.run(ids, np.zeros(2, int), np.arange(2), np.arange(2), Watch({1: [0]}))
    assert list(both.attention) == [1] and list(both.attention[1]) == [0]
    assert both.residual is None


@each_precision
def test_the_residual_stream_is_the_model_s(precision: str) -> None:
    ids = text_ids(USUAL, 30)
    model = readable(USUAL)
    expected: list[torch.Tensor] = []
    hooks = [model.h[0].register_forward_pre_hook(lambda _, x: expected.append(x[0][0]))]
    hooks += [
        block.register_forward_hook(lambda _, x, y: expected.append(y[0])) for block in model.h
    ]
    model(torch.tensor(ids)[None])
    for hook in hooks:
        hook.remove()
    residual = run(executor(USUAL, precision), ids, 0, 0, residual=True).residual
    assert residual is not None and residual.shape == (30, 5, USUAL.embedding_dimension)
    scale = float(expected[-1].abs().max())
    share = {"float32": 1e-6, "float16": 2e-3, "int8": 0.05, "int4": 0.5}[precision]
    for found, stream in zip(residual[:, ::2].transpose(1, 0, 2), expected, strict=True):
        np.testing.assert_allclose(found, stream.numpy(), atol=share * scale)


def test_a_head_that_is_off_adds_what_stands_in_for_it() -> None:
    """All heads of a layer off: its attention adds the output bias alone."""
    ids = text_ids(USUAL, 20)
    made = executor(USUAL, "float32")
    off = {(1, head): None for head in range(USUAL.num_heads)}
    shown = run(made, ids, 0, 0, residual=True, heads_off={0: off}).residual
    assert shown is not None
    bias = readable(USUAL).h[1].attn.c_proj.bias.numpy()
    np.testing.assert_allclose(shown[:, 3] - shown[:, 2], np.tile(bias, (20, 1)), atol=1e-5)
    # Replaced by itself nothing changes, to the bit.
    plain = run(made, ids, 0, 1, attention={1: [0]})
    mixed = plain.attention[1][0][1] @ plain.values[1][0][1]
    same = run(made, ids[-1:], 19, 1, heads_off={1: {(0, 1): mixed[19]}}).logits
    np.testing.assert_allclose(same, plain.logits[-1:], atol=1e-4)


def test_another_position_can_stand_in() -> None:
    ids = text_ids(USUAL, 6)
    made = executor(USUAL, "float32")
    swapped = run(made, ids, 0, 0, positions={0: {0: 4, 4: 0}}, residual=True).residual
    table, places = readable(USUAL).wte.weight.numpy(), readable(USUAL).wpe.weight.numpy()
    assert swapped is not None
    np.testing.assert_allclose(swapped[:, 0], table[ids] + places[[4, 1, 2, 3, 0, 5]], atol=1e-6)


def test_a_shorter_text_in_the_same_slot_forgets_the_longer_one() -> None:
    made = executor(USUAL, "int8")
    ids = text_ids(USUAL, 60)
    expected = run(made, ids[:30], 0, 0).logits
    run(made, text_ids(USUAL, 100, seed=5), 0, 0)
    np.testing.assert_array_equal(run(made, ids[:30], 0, 0).logits, expected)


@given(st.lists(st.integers(1, 40), min_size=1, max_size=6), st.integers(0, 2**32 - 1))
def test_any_cut_is_the_same_text(pieces: list[int], seed: int) -> None:
    made = _int8()
    ids = text_ids(ODD, min(sum(pieces), ODD.max_seq_len), seed)
    whole = run(made, ids, 0, 0).logits
    found, first = [], 0
    for length in pieces:
        part = ids[first : first + length]
        if len(part):
            found.append(run(made, part, first, 1).logits)
        first += len(part)
    np.testing.assert_array_equal(np.concatenate(found), whole)


_made: list[CompiledExecutor] = []


def _int8() -> CompiledExecutor:
    if not _made:
        _made.append(executor(ODD, "int8"))
    return _made[0]


@pytest.mark.parametrize("threads", [2, 3, 8])
def test_thousands_of_passes_with_late_threads(threads: int) -> None:
    """Others take the CPUs away at random; no pass hangs and none computes anything else."""
    made = executor(ODD, "int8", threads=threads)
    ids = text_ids(ODD, 12)
    expected = run(made, ids, 0, 0).logits
    over = threading.Event()

    def disturb() -> None:
        random = np.random.default_rng(threading.get_ident() % 2**32)
        while not over.is_set():
            sum(range(int(random.integers(10, 5_000))))
            over.wait(float(random.random()) * 1e-4)

    others = [threading.Thread(target=disturb) for _ in range(3)]
    for other in others:
        other.start()
    try:
        for n in range(1_500):
            i = n % len(ids)
            found = run(made, ids[i : i + 1], i, 0).logits[0]
            np.testing.assert_array_equal(found, expected[i])
            if n % 100 == 0:
                np.testing.assert_array_equal(run(made, ids, 0, 1).logits, expected)
    finally:
        over.set()
        for other in others:
            other.join()


def test_executors_in_several_threads_at_once_do_not_meet() -> None:
    made = [executor(shape, "int8") for shape in (ODD, USUAL, ODD)]
    texts = [text_ids(e.config, 40, seed) for seed, e in enumerate(made)]
    expected = [run(e, ids, 0, 0).logits for e, ids in zip(made, texts, strict=True)]
    wrong: list[int] = []

    def work(n: int) -> None:
        for _ in range(200):
            for i in (3, 39):
                found = run(made[n], texts[n][i : i + 1], i, 0).logits[0]
                if not np.array_equal(found, expected[n][i]):
                    wrong.append(n)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(len(made))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


PORTABLE = """
import numpy as np, sys
from tests.cpu.models import ODD, executor, text_ids
from gpt2.cpu.compiler import host
assert not host().features
for precision in ("float32", "float16", "int8", "int4"):
    ids = text_ids(ODD, 20)
    place = np.arange(20)
    logits = executor(ODD, precision, outliers=True).run(ids, place, 0 * place, place).logits
    np.save(f"{sys.argv[1]}/{precision}.npy", logits)
"""


def test_without_the_processor_s_special_instructions_the_bits_are_the_same(tmp_path) -> None:  # type: ignore[no-untyped-def]  # a fixture
    environment = os.environ | {"GPT2_CPU_FEATURES": "portable", "OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, "-c", PORTABLE, str(tmp_path)], env=environment, check=True)
    ids = text_ids(ODD, 20)
    for precision in PRECISIONS:
        here = run(executor(ODD, precision, outliers=True), ids, 0, 0).logits
        np.testing.assert_array_equal(np.load(tmp_path / f"{precision}.npy"), here)


def test_value_grams_are_those_of_the_output_projection() -> None:
    made = executor(USUAL, "float32")
    weight = readable(USUAL).h[1].attn.c_proj.weight.numpy()  # (C, C)
    value = np.random.default_rng(0).standard_normal(64, dtype=np.float32)
    squared = value @ made.value_grams[1, 1] @ value
    assert np.isclose(squared, ((weight[:, 64:] @ value) ** 2).sum(), rtol=1e-4)


def test_logits_near_minus_a_hundred_keep_their_probabilities() -> None:
    """Real GPT-2's logits lie there; what all have in common must not cost precision."""
    config = GPT2Config(
        vocab_size=997,
        embedding_dimension=128,
        num_heads=2,
        hidden_dimension=64,
        num_blocks=2,
        max_seq_len=64,
    )
    ids = text_ids(config, 60)
    model = GPT2Model.from_config(config).eval().requires_grad_(False)
    model.load_state_dict(readable(config).state_dict())
    common = torch.full((128,), 2.0)
    model.ln_f.bias += common
    model.wte.weight -= 100 * common / (common @ common)
    expected = of_readable(model, ids)
    assert -150 < expected.mean() < -50
    from gpt2.cpu import executor_of
    from tests.cpu.models import state_of

    made = executor_of(config, state_of(model), "int8", 2, 1)
    assert divergence(expected, run(made, ids, 0, 0).logits) < 1e-3
