"""Recorded blocks: the same bits as unrecorded ones, for every precision and any number of rows."""

from __future__ import annotations

import copy
import logging
import threading
import time
import weakref
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from gpt2 import GPT2Config, GPT2Model
from gpt2.model import KVCache, RaggedBatch, SlotCache
from gpt2.precision import float16_model, float32_model, int8_model, recorded, recording
from gpt2.precision.recorded import RecordedBlock, record_blocks
from gpt2.quantization.kernels import has_float32_kernel
from tests.small import together

CONFIG = GPT2Config(3000, 64, 2, 32, 2, 64)
PRECISIONS: dict[str, Callable[[GPT2Model], GPT2Model]] = {
    "int8": int8_model,
    "float32": float32_model,
    "float16": float16_model,
}


def plain(width: int = 64, blocks: int = 2) -> GPT2Model:
    torch.manual_seed(0)
    config = replace(CONFIG, embedding_dimension=width, num_heads=width // 32, num_blocks=blocks)
    return GPT2Model.from_config(config).eval().requires_grad_(False)


@pytest.fixture(params=PRECISIONS)
def pair(request: pytest.FixtureRequest) -> tuple[GPT2Model, GPT2Model]:
    """One model without and with recorded blocks."""
    make = PRECISIONS[request.param]
    model, recorded = make(plain()), record_blocks(make(plain()))
    assert not any(isinstance(block, RecordedBlock) for block in model.h)
    # Fails when torch has no tracer any more: then blocks run from Python, and slower.
    assert all(isinstance(block, RecordedBlock) for block in recorded.h)
    return model, recorded


@torch.inference_mode()
@pytest.mark.parametrize("rows", [(1, 1), (1, 2), (1, 40), (2, 3), (8, 1), (3, 64)], ids=str)
def test_the_same_bits(pair: tuple[GPT2Model, GPT2Model], rows: tuple[int, int]) -> None:
    ids = torch.arange(rows[0] * rows[1]).view(rows) * 97 % CONFIG.vocab_size
    one, other = (model(ids) for model in pair)
    assert torch.equal(one, other)


@torch.inference_mode()
def test_the_same_bits_with_a_cache(pair: tuple[GPT2Model, GPT2Model]) -> None:
    def read(model: GPT2Model) -> Tensor:
        cache = KVCache(CONFIG, 64)
        pieces = [model(torch.arange(n)[None] + n, cache) for n in (5, 1, 1, 7, 1)]
        return torch.cat(pieces, 1)

    one, other = map(read, pair)
    assert torch.equal(one, other)


@torch.inference_mode()
def test_the_same_bits_in_a_batch(pair: tuple[GPT2Model, GPT2Model]) -> None:
    def write(model: GPT2Model) -> Tensor:
        batch = RaggedBatch(SlotCache(CONFIG, 3), range(3), [0, 0, 0])
        ids = torch.tensor([[5], [6], [7]])
        return torch.cat([model.wte.logits(model.hidden(ids, batch, batch.attend)) for _ in "123"])

    one, other = map(write, pair)
    assert torch.equal(one, other)


@torch.inference_mode()
def test_threads_share_a_recording(pair: tuple[GPT2Model, GPT2Model]) -> None:
    ids = [torch.arange(n)[None] for n in range(1, 40)]
    alone = [pair[0](some) for some in ids]
    with ThreadPoolExecutor(4) as threads:
        together = threads.map(torch.inference_mode()(pair[1]), ids)
        for one, other in zip(alone, together, strict=True):
            assert torch.equal(one, other)


def test_weights_keep_their_names_and_are_not_copied() -> None:
    model = plain()
    before = copy.copy(model.state_dict())
    after = record_blocks(model).state_dict()
    assert before.keys() == after.keys()
    assert all(before[name].data_ptr() == after[name].data_ptr() for name in before)


def test_two_threads_that_record_leave_torch_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    """One begins while the other is at it, and ends later."""
    began = threading.Event()

    def slowly(*args: Any) -> Any:
        began.set()
        time.sleep(0.03)
        return recording.record(*args)

    def second() -> GPT2Model:
        assert began.wait(10)
        return record_blocks(plain(blocks=3))

    monkeypatch.setattr(recorded, "record", slowly)
    models = together(lambda: record_blocks(plain(blocks=1)), second)
    profiling = torch._C._jit_set_profiling_mode(True)
    assert profiling
    assert all(isinstance(block, RecordedBlock) for model in models for block in model.h)


def test_threads_that_record_one_kind_record_it_once(monkeypatch: pytest.MonkeyPatch) -> None:
    kinds: list[Hashable] = []

    class Kinds(dict[Hashable, Any]):
        def __setitem__(self, kind: Hashable, recording: Any) -> None:
            kinds.append(kind)
            super().__setitem__(kind, recording)

    monkeypatch.setattr(recording, "_kinds", Kinds())
    together(*[lambda: record_blocks(plain())] * 4)
    assert len(kinds) == 2


def not_recorded(model: GPT2Model, log: pytest.LogCaptureFixture) -> tuple[int, str]:
    """The level and the words of the one line that says so."""
    with log.at_level(logging.DEBUG, "gpt2"):
        model = record_blocks(model)
    assert not any(isinstance(block, RecordedBlock) for block in model.h)
    assert model(torch.arange(5)[None]).isfinite().all()
    [line] = log.records
    assert "\n" not in line.getMessage()
    return line.levelno, line.getMessage()


def test_without_a_tracer_the_blocks_stay_as_they_are(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delattr(torch.jit, "trace")
    monkeypatch.setattr(recording, "_kinds", {})
    level, words = not_recorded(int8_model(plain()), caplog)
    assert level == logging.WARNING and "trace" in words


@pytest.mark.skipif(not has_float32_kernel(), reason="nothing is packed here")
def test_what_one_dnn_has_packed_is_not_recorded_and_nobody_is_warned(
    caplog: pytest.LogCaptureFixture,
) -> None:
    level, words = not_recorded(float32_model(plain(width=256)), caplog)
    assert level == logging.INFO and "oneDNN" in words


@pytest.mark.parametrize("result", [lambda *inputs: inputs, lambda *inputs: ()])
def test_a_recording_that_computes_something_else_is_not_used(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    result: Callable[..., tuple[Tensor, ...]],
) -> None:
    """As one would that had the first block's numbers written into it."""
    kinds: dict[Hashable, Any] = {}
    monkeypatch.setattr(recording, "_kinds", kinds)
    record_blocks(int8_model(plain()))
    for kept in kinds.values():
        kept.forward = result
    monkeypatch.setattr(recording, "copy", lambda kept: kept)
    level, words = not_recorded(int8_model(plain()), caplog)
    assert level == logging.WARNING and "something else" in words


def test_one_recording_serves_every_model_of_its_kind_and_holds_none_in_memory() -> None:
    first = record_blocks(int8_model(plain()))
    before = len(recording._kinds)
    again = record_blocks(int8_model(plain()))
    assert len(recording._kinds) == before
    weights = [weakref.ref(model.h[0].ln_1.weight) for model in (first, again)]
    del first, again
    assert [weight() for weight in weights] == [None, None]
