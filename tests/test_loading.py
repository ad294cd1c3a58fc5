"""What `load` gives: the compiled pass where there is one, else PyTorch and a sentence."""

from __future__ import annotations

import gc
import os
import sys
import threading
import types
import weakref
from pathlib import Path

import pytest
import torch

from gpt2 import GPT2Model, SamplingOptions, load
from gpt2.checkpoint import CheckpointError, save_model
from gpt2.inference.torch_executor import TorchExecutor
from gpt2.loading import read_model
from tests.small import small_engine, until

WARM = SamplingOptions(seed=3)


class Compiled(TorchExecutor):
    """Stands in for the compiled pass: the same numbers, another name."""

    def __init__(self, folder: Path, precision: str, threads: int, slots: int) -> None:
        super().__init__(read_model(folder), slots)
        self.precision = f"compiled {precision}"
        assert threads >= 1


class Unavailable(Exception):
    pass


def nudged() -> GPT2Model:
    """Another model of the same shape."""
    model = small_engine().model
    for parameter in model.parameters():
        parameter.data.add_(0.1)
    return model


@pytest.fixture
def folder(tmp_path: Path) -> str:
    save_model(small_engine().model, tmp_path, {}, torch.float32)
    return str(tmp_path)


@pytest.fixture
def cpu(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    module = types.ModuleType("gpt2.cpu")
    module.open_executor = Compiled  # type: ignore[attr-defined]  # made here
    module.Unavailable = Unavailable  # type: ignore[attr-defined]  # made here
    monkeypatch.setitem(sys.modules, "gpt2.cpu", module)
    monkeypatch.setattr("gpt2.precision.has_compiled_pass", lambda: True)
    return module


def test_a_cpu_computes_by_the_compiled_pass(folder: str, cpu: types.ModuleType) -> None:
    engine = load(folder, "int8", device="cpu")
    assert engine.precision == "compiled int8"
    assert engine.note == ""
    assert engine.complete("It", WARM, 20) == small_engine().complete("It", WARM, 20)


def test_the_readable_model_is_read_when_somebody_asks(folder: str, cpu: types.ModuleType) -> None:
    engine = load(folder, "int8", device="cpu")
    model = engine.model
    assert engine.model is model
    for name, tensor in small_engine().model.state_dict().items():
        assert torch.equal(model.get_parameter(name), tensor), name
    assert not model.training and not any(p.requires_grad for p in model.parameters())


@pytest.mark.parametrize("change", ["written anew", "moved away"])
def test_other_files_than_those_of_the_engine_are_not_read(
    folder: str, cpu: types.ModuleType, change: str
) -> None:
    """Else what the inspector says of a text would be true of another model."""
    engine = load(folder, "int8", device="cpu")
    if change == "written anew":
        save_model(nudged(), Path(folder), {}, torch.float32)
    else:
        os.rename(folder, f"{folder}-moved")
    with pytest.raises(CheckpointError, match="have changed since it was loaded"):
        _ = engine.model
    assert engine.complete("It", WARM, 5) == small_engine().complete("It", WARM, 5)


def test_an_engine_does_not_change_over_to_another_model(
    folder: str, cpu: types.ModuleType
) -> None:
    def late(*arguments: object) -> Compiled:
        save_model(nudged(), Path(folder), {}, torch.float32)
        return Compiled(*arguments)  # type: ignore[arg-type]  # as they came

    cpu.open_executor = late  # type: ignore[attr-defined]  # made here
    engine = load(folder, "int8", device="cpu", wait=False)
    assert until(lambda: "have changed meanwhile" in engine.note)
    assert engine.complete("It", WARM, 5) == small_engine().complete("It", WARM, 5)


@pytest.mark.parametrize("wait", [True, False])
def test_where_it_is_unavailable_pytorch_computes_and_the_note_says_why(
    folder: str, cpu: types.ModuleType, wait: bool
) -> None:
    def refuse(*_: object) -> None:
        raise Unavailable("Numba could not compile it.")

    cpu.open_executor = refuse  # type: ignore[attr-defined]  # made here
    engine = load(folder, "int8", device="cpu", wait=wait)
    said = "PyTorch computes in float32: Numba could not compile it."
    assert until(lambda: engine.note == said)
    assert engine.precision == "float32"
    assert engine.complete("It", WARM, 5)


def test_where_it_cannot_be_imported_too(folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gpt2.cpu", None)
    engine = load(folder, "int8", device="cpu")
    assert engine.precision == "float32"
    assert "needs Numba" in engine.note


def test_the_page_starts_at_once_and_changes_over_between_runs(
    folder: str, cpu: types.ModuleType
) -> None:
    ready = threading.Event()

    def slow(*arguments: object) -> Compiled:
        ready.wait(30)
        return Compiled(*arguments)  # type: ignore[arg-type]  # as they came

    cpu.open_executor = slow  # type: ignore[attr-defined]  # made here
    engine = load(folder, "int8", device="cpu", wait=False)
    assert engine.precision == "float32"
    assert "being prepared" in engine.note
    plain = [event.text for event in small_engine().stream("It", WARM, 40)]
    events = engine.stream("It", WARM, 40)
    texts = [next(events).text for _ in range(3)]
    ready.set()
    assert until(lambda: engine.precision == "compiled int8")
    assert engine.note == ""
    texts += [event.text for event in events]  # which ends as it began
    assert texts == plain
    assert [event.text for event in engine.stream("It", WARM, 40)] == plain


def test_an_engine_that_has_changed_over_keeps_no_second_copy(
    folder: str, cpu: types.ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    models: list[weakref.ref[object]] = []

    def read(*arguments: str) -> GPT2Model:
        model = read_model(Path(folder), *arguments[1:])
        models.append(weakref.ref(model))
        return model

    monkeypatch.setattr("gpt2.loading.read_model", read)
    engine = load(folder, "int8", device="cpu", wait=False)
    assert until(lambda: engine.precision == "compiled int8")
    assert until(lambda: gc.collect() >= 0 and models[0]() is None)
    assert engine.model is engine.model
    assert len(models) == 2


def test_a_failure_nobody_foresaw_is_logged_and_told(
    folder: str, cpu: types.ModuleType, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("a broken compiler")

    cpu.open_executor = fail  # type: ignore[attr-defined]  # made here
    engine = load(folder, "int8", device="cpu", wait=False)
    assert until(lambda: "failed" in engine.note)
    assert "broken" not in engine.note
    assert "a broken compiler" in caplog.text
    assert engine.complete("It", WARM, 5)


def test_an_engine_that_is_dropped_meanwhile_is_not_kept(
    folder: str, cpu: types.ModuleType
) -> None:
    ready = threading.Event()
    closed: list[bool] = []

    def slow(*arguments: object) -> Compiled:
        ready.wait(30)
        executor = Compiled(*arguments)  # type: ignore[arg-type]  # as they came
        executor.close = lambda: closed.append(True)  # type: ignore[method-assign]  # of this one
        return executor

    cpu.open_executor = slow  # type: ignore[attr-defined]  # made here
    engine = load(folder, "int8", device="cpu", wait=False)
    gone = weakref.ref(engine)
    del engine
    assert until(lambda: gc.collect() >= 0 and gone() is None)
    ready.set()
    assert until(lambda: closed == [True])
