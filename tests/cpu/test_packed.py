"""The packed file: made once, never stale, never half."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open

from gpt2.checkpoint import CheckpointError, save_model
from gpt2.cpu import PRECISIONS, packed
from gpt2.cpu.formats import FORMATS
from gpt2.cpu.packed import Packed, in_memory, open_packed, pack_matrix, source_digest
from gpt2.model import GPT2Model
from tests.cpu.models import ODD, USUAL, readable, state_of


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Digests and copies of this test alone."""
    cache = tmp_path / "cache"
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    yield cache / "gpt2-from-scratch"


def checkpoint(folder: Path, model: GPT2Model) -> Path:
    save_model(model, folder, {}, torch.float32)
    return folder


def file_of(folder: Path, precision: str) -> Path:
    return folder / f"model.{precision}.packed.safetensors"


def same(a: Packed, b: Packed) -> bool:
    matrices = range(len(a.matrices))
    return all(np.array_equal(a.matrix(n), b.matrix(n)) for n in matrices) and np.array_equal(
        a.vectors, b.vectors
    )


@pytest.mark.parametrize("precision", PRECISIONS)
def test_it_holds_what_packing_in_memory_gives(tmp_path: Path, precision: str) -> None:
    model = readable(USUAL, outliers=True)
    folder = checkpoint(tmp_path / "model", model)
    first = open_packed(folder, precision)
    assert same(first, in_memory(USUAL, precision, state_of(model)))
    written = file_of(folder, precision).stat()
    again = open_packed(folder, precision)
    assert same(first, again) and file_of(folder, precision).stat() == written
    assert not again.blocks.flags.writeable
    with safe_open(file_of(folder, precision), framework="np") as file:
        assert {"embedding", "positions", "vectors", "blocks.head"} <= set(file.keys())


def test_another_file_of_the_same_size_and_time_is_noticed(tmp_path: Path) -> None:
    folder = checkpoint(tmp_path / "model", readable(ODD))
    open_packed(folder, "int8")
    weights = folder / "model.safetensors"
    before = weights.stat()
    other = GPT2Model.from_config(ODD)
    checkpoint(tmp_path / "other", other)
    # In place, so that even the inode stays; then the old times.
    with weights.open("r+b") as file:
        file.write((tmp_path / "other" / "model.safetensors").read_bytes())
    os.utime(weights, ns=(before.st_atime_ns, before.st_mtime_ns))
    after = weights.stat()
    assert (after.st_size, after.st_mtime_ns, after.st_ino) == (
        before.st_size,
        before.st_mtime_ns,
        before.st_ino,
    )
    assert same(open_packed(folder, "int8"), in_memory(ODD, "int8", state_of(other)))


def test_another_shape_of_the_same_weights_is_noticed(tmp_path: Path) -> None:
    folder = checkpoint(tmp_path / "model", readable(USUAL))
    assert open_packed(folder, "int8").config.num_heads == 2
    config = replace(USUAL, num_heads=4, hidden_dimension=32)
    model = GPT2Model.from_config(config)
    model.load_state_dict(readable(USUAL).state_dict())
    checkpoint(folder, model)
    assert open_packed(folder, "int8").config == replace(config, dropout_rate=0.1)


CUT = """
import subprocess, sys, threading
from pathlib import Path
from gpt2.cpu import packed
folder, when, how, lease = Path(sys.argv[1]), *sys.argv[2:]
if lease == "read":
    packed.mapped = lambda file: None
opened = packed.open_packed(folder, "int8")
everything = (opened.blocks, opened.vectors, opened.embedding, opened.positions)
def sums():
    return [array.astype("f8").sum() for array in everything]
before = sums() if when == "in use" else None
over, wrong = threading.Event(), []
def use():
    while not over.is_set():
        if sums() != before:
            wrong.append(1)
reader = threading.Thread(target=use)
if before:
    reader.start()
content = "bytes(10**6)" if how == "rewritten" else "b''"
other = f"import sys; f = open(sys.argv[1], 'r+b'); f.truncate(0); f.write({content})"
file = folder / "model.int8.packed.safetensors"
subprocess.run([sys.executable, "-c", other, str(file)], check=True, timeout=60)
assert file.stat().st_size == (10**6 if how == "rewritten" else 0)
over.set()
after = sums()
assert all(after) and before in (None, after) and not wrong
"""


@pytest.mark.parametrize("lease", ["mapped", "read"])
@pytest.mark.parametrize("how", ["cut", "rewritten"])
@pytest.mark.parametrize("when", ["in use", "untouched"])
def test_a_file_that_is_cut_short_ends_nothing(
    tmp_path: Path, when: str, how: str, lease: str
) -> None:
    """By itself a mapped one ends the process with SIGBUS, and everybody's texts with it."""
    folder = checkpoint(tmp_path / "model", readable(USUAL))
    command = [sys.executable, "-c", CUT, str(folder), when, how, lease]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_file_that_is_cut_short_while_it_is_read_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = checkpoint(tmp_path / "model", readable(USUAL))
    first = open_packed(folder, "int8")
    read = os.preadv
    monkeypatch.setattr(packed, "mapped", lambda file: None)
    cut: list[int] = []

    def preadv(handle: int, *rest: Any) -> int:
        if not cut:
            cut.append(handle)
            os.truncate(file_of(folder, "int8"), 100_000)
        return read(handle, *rest)

    monkeypatch.setattr(os, "preadv", preadv)
    assert same(open_packed(folder, "int8"), first)
    assert cut


def test_a_file_that_is_written_over_while_it_is_read_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = checkpoint(tmp_path / "model", readable(USUAL))
    first = open_packed(folder, "int8")
    read = os.preadv
    monkeypatch.setattr(packed, "mapped", lambda file: None)
    written: list[int] = []

    def preadv(handle: int, *rest: Any) -> int:
        count = read(handle, *rest)
        if not written:
            written.append(handle)
            with file_of(folder, "int8").open("r+b") as other:
                other.seek(-1000, os.SEEK_END)
                other.write(bytes(1000))
        return count

    monkeypatch.setattr(os, "preadv", preadv)
    assert same(open_packed(folder, "int8"), first)
    assert written


def test_weights_that_are_written_anew_while_they_are_packed_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the new ones would be kept under the digest of the old."""
    folder = checkpoint(tmp_path / "model", readable(ODD))
    old = (folder / "model.safetensors").read_bytes()
    other = checkpoint(tmp_path / "other", GPT2Model.from_config(ODD)) / "model.safetensors"
    digest = packed.source_digest

    def late(files: Sequence[Path]) -> str:
        found = digest(files)
        os.replace(other, files[0])
        return found

    monkeypatch.setattr(packed, "source_digest", late)
    with pytest.raises(CheckpointError, match="written anew while they were read"):
        open_packed(folder, "int8")
    monkeypatch.undo()
    assert sorted(p.name for p in folder.iterdir()) == ["config.json", "model.safetensors"]
    (folder / "model.safetensors").write_bytes(old)
    assert same(open_packed(folder, "int8"), in_memory(ODD, "int8", state_of(readable(ODD))))


def test_what_a_killed_process_left_is_removed(tmp_path: Path, own_cache: Path) -> None:
    folder = checkpoint(tmp_path / "model", readable(ODD))
    open_packed(folder, "int8")
    left = folder / f".{file_of(folder, 'int8').name}-12345678"
    left.write_bytes(b"half")
    open_packed(folder, "int8")
    assert not left.exists()


def changed(content: bytes, name: str, at: int, value: int) -> bytes:
    """The file with another number in one of its tables, which compiled code would follow."""
    size = int.from_bytes(content[:8], "little")
    start = 8 + size + json.loads(content[8 : 8 + size])[name]["data_offsets"][0] + 8 * at
    return content[:start] + value.to_bytes(8, "little") + content[start + 8 :]


@pytest.mark.parametrize(
    "damage", ["cut", "empty", "rubbish", "header", "deep", "list", "group count", "offset"]
)
def test_a_damaged_file_is_made_again(tmp_path: Path, damage: str) -> None:
    folder = checkpoint(tmp_path / "model", readable(ODD))
    first = open_packed(folder, "int8")
    expected = [first.matrix(n) for n in range(len(first.matrices))]
    path = file_of(folder, "int8")
    content = path.read_bytes()
    damaged = {
        "cut": content[: len(content) // 2],
        "empty": b"",
        "rubbish": os.urandom(4096),
        "header": (2**62).to_bytes(8, "little") + content[8:],
        "deep": (200_000).to_bytes(8, "little") + b"[" * 200_000 + content,
        "list": (2).to_bytes(8, "little") + b"[]" + content,
        "group count": changed(content, "matrices", 1, 2**40),
        "offset": changed(content, "offsets", 0, 2**40),
    }[damage]
    path.write_bytes(damaged)
    again = open_packed(folder, "int8")
    assert all(np.array_equal(again.matrix(n), matrix) for n, matrix in enumerate(expected))
    assert path.read_bytes() == content


def test_where_nothing_may_be_written_the_cache_folder_has_it(
    tmp_path: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = checkpoint(tmp_path / "model", readable(ODD))
    original = packed._write

    def refuse(path: Path, *rest: object) -> None:
        if path.parent == folder:
            raise PermissionError(errno.EACCES, "read-only")
        original(path, *rest)  # type: ignore[arg-type]  # passed on as they came

    monkeypatch.setattr(packed, "_write", refuse)
    open_packed(folder, "int8")
    assert not file_of(folder, "int8").exists()
    assert [p.name for p in own_cache.glob("*.packed.safetensors")]


def test_a_pipe_in_its_place_is_waited_for_by_nobody(tmp_path: Path) -> None:
    folder = checkpoint(tmp_path / "model", readable(ODD))
    os.mkfifo(file_of(folder, "int8"))
    assert same(open_packed(folder, "int8"), in_memory(ODD, "int8", state_of(readable(ODD))))
    assert file_of(folder, "int8").is_file()


def test_a_disk_that_fails_is_told_in_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = checkpoint(tmp_path / "model", readable(ODD))

    def fail(files: Sequence[Path]) -> str:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(packed, "source_digest", fail)
    with pytest.raises(CheckpointError, match=r"^The weights cannot be read: Input/output error"):
        open_packed(folder, "int8")


def test_a_disk_that_fills_leaves_nothing_and_the_model_runs(
    tmp_path: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = readable(ODD)
    folder = checkpoint(tmp_path / "model", model)

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    assert same(open_packed(folder, "int8"), in_memory(ODD, "int8", state_of(model)))
    assert sorted(p.name for p in folder.iterdir()) == ["config.json", "model.safetensors"]
    assert not list(own_cache.glob("*packed*"))


def test_two_processes_at_once_leave_one_right_file(tmp_path: Path) -> None:
    model = readable(USUAL)
    folder = checkpoint(tmp_path / "model", model)
    code = (
        "import sys; from pathlib import Path; from gpt2.cpu.packed import open_packed;"
        "sys.stdin.readline(); open_packed(Path(sys.argv[1]), 'int8')"
    )
    command = [sys.executable, "-c", code, str(folder)]
    both = [subprocess.Popen(command, stdin=subprocess.PIPE) for _ in range(2)]
    for process in both:
        assert process.stdin
        process.stdin.write(b"\n")
        process.stdin.close()
    assert [process.wait() for process in both] == [0, 0]
    names = sorted(p.name for p in folder.iterdir())
    assert names == ["config.json", "model.int8.packed.safetensors", "model.safetensors"]
    assert same(open_packed(folder, "int8"), in_memory(USUAL, "int8", state_of(model)))


def test_the_hub_s_cache_names_a_file_by_its_content(tmp_path: Path) -> None:
    blobs = tmp_path / "blobs"
    blobs.mkdir()
    (blobs / ("ab" * 32)).write_bytes(b"not read at all")
    link = tmp_path / "model.safetensors"
    link.symlink_to(blobs / ("ab" * 32))
    assert source_digest([link]) == "ab" * 32


def test_a_copy_of_a_checkpoint_brings_its_packed_file(tmp_path: Path) -> None:
    folder = checkpoint(tmp_path / "model", readable(ODD))
    open_packed(folder, "int8")
    shutil.copytree(folder, tmp_path / "copy")
    made = file_of(tmp_path / "copy", "int8").stat().st_mtime_ns
    open_packed(tmp_path / "copy", "int8")
    assert file_of(tmp_path / "copy", "int8").stat().st_mtime_ns == made


@pytest.mark.parametrize("precision", ["int8", "int4"])
def test_large_inputs_stand_apart_and_are_kept_twice_as_well(precision: str) -> None:
    random = np.random.default_rng(0)
    weights = random.standard_normal((64, 256), dtype=np.float32)
    importance = np.ones(256, np.float32)
    assert pack_matrix(weights, FORMATS[precision], importance)[1:] == (0, [])
    importance[[7, 100]] = 80
    _, apart, columns = pack_matrix(weights, FORMATS[precision], importance)
    assert apart == 2 and {7, 100} <= set(columns) and len(columns) == 32
