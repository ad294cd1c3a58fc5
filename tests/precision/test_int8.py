"""Loading int8: the kept copy gives the same numbers, and is made anew when it is no use."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from gpt2 import GPT2Config, GPT2Model
from gpt2.checkpoint import save_model
from gpt2.precision import int8, int8_model
from gpt2.precision.int8 import load_int8

CONFIG = GPT2Config(3000, 64, 2, 32, 2, 64)
IDS = torch.arange(30)[None] * 97
COPY = "model.int8.safetensors"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    save_model(GPT2Model.from_config(CONFIG).eval(), tmp_path, {}, torch.float32)
    return tmp_path


def kept(folder: Path) -> tuple[int, int]:
    stat = (folder / COPY).stat()
    return stat.st_ino, stat.st_mtime_ns


@torch.inference_mode()
def test_again_and_in_memory_it_is_the_same_model(folder: Path) -> None:
    torch.manual_seed(0)
    there = int8_model(GPT2Model.from_config(CONFIG).eval())(IDS)
    first = load_int8(folder)(IDS)
    copy = kept(folder)
    assert torch.equal(first, there)
    assert torch.equal(load_int8(folder)(IDS), first)
    assert kept(folder) == copy


@torch.inference_mode()
def test_a_stale_or_broken_copy_is_made_anew(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = load_int8(folder)(IDS)
    copy = kept(folder)
    (folder / COPY).write_bytes(b"no copy")
    assert torch.equal(load_int8(folder)(IDS), first)
    mended = kept(folder)
    assert mended != copy
    monkeypatch.setattr(int8, "VERSION", int8.VERSION + 1)
    assert torch.equal(load_int8(folder)(IDS), first)
    assert kept(folder) != mended


@torch.inference_mode()
def test_where_nothing_can_be_kept_it_still_loads(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = load_int8(folder)(IDS)
    (folder / COPY).unlink()
    monkeypatch.setattr(int8, "write_converted", lambda *_: None)
    assert torch.equal(load_int8(folder)(IDS), first)


@torch.inference_mode()
def test_the_table_stays_in_the_file_and_outlives_it(folder: Path) -> None:
    first = load_int8(folder)(IDS)
    model = load_int8(folder)
    assert Path("/proc/self/maps").read_text().count(f"{folder / COPY}\n") == 1
    (folder / COPY).unlink()
    assert torch.equal(model(IDS), first)
    del model
    assert str(folder / COPY) not in Path("/proc/self/maps").read_text()
