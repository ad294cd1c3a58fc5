"""A kept copy is used while it is whole, of the wanted version and of that very file; else not."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from gpt2.checkpoint import read_converted, write_converted
from gpt2.checkpoint.source import WEIGHTS_FILE

TENSORS = {"a": torch.arange(6).view(2, 3), "b": torch.tensor([1.5, -2.0])}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / WEIGHTS_FILE).write_bytes(b"the weights")
    write_converted(tmp_path, "kind", 3, TENSORS)
    return tmp_path


def test_what_was_kept_comes_back(folder: Path) -> None:
    found = read_converted(folder, "kind", 3)
    assert found is not None
    assert found.keys() == TENSORS.keys()
    for name, tensor in TENSORS.items():
        assert found[name].dtype == tensor.dtype
        assert torch.equal(found[name], tensor)
    assert sorted(os.listdir(folder)) == ["model.kind.safetensors", WEIGHTS_FILE]


def test_another_kind_or_version_is_not_there(folder: Path) -> None:
    assert read_converted(folder, "other", 3) is None
    assert read_converted(folder, "kind", 4) is None


def _other_size(path: Path) -> None:
    path.write_bytes(b"other weights")


def _other_time(path: Path) -> None:
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 1))


@pytest.mark.parametrize("change", [_other_size, _other_time])
def test_a_copy_of_other_weights_is_stale(folder: Path, change: Callable[[Path], None]) -> None:
    change(folder / WEIGHTS_FILE)
    assert read_converted(folder, "kind", 3) is None
    write_converted(folder, "kind", 3, TENSORS)
    assert read_converted(folder, "kind", 3) is not None


@pytest.mark.parametrize("cut", [0, 5, 60, -1])
def test_a_copy_that_is_cut_is_no_use(folder: Path, cut: int) -> None:
    copy = folder / "model.kind.safetensors"
    copy.write_bytes(copy.read_bytes()[:cut])
    assert read_converted(folder, "kind", 3) is None


def test_where_nothing_can_be_written_nothing_is_kept(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    before = sorted(os.listdir(folder))
    monkeypatch.setattr("gpt2.checkpoint.converted.save_file", full)
    write_converted(folder, "kind", 4, TENSORS)
    assert read_converted(folder, "kind", 4) is None
    assert sorted(os.listdir(folder)) == before
