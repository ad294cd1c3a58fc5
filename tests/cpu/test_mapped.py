"""A mapped file stays what it was, whoever writes to it; and who writes is not kept waiting."""

from __future__ import annotations

import gc
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from gpt2.cpu import mapped as module
from gpt2.cpu.mapped import mapped
from tests.small import until

linux = pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="leases are Linux's")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "file"
    file.write_bytes(np.arange(100_000, dtype=np.int32).tobytes())
    return file


@pytest.fixture
def held() -> Callable[[], int]:
    """How many files are mapped beside those that other tests of this process have left."""
    gc.collect()
    others = {id(each) for each in module._held.values()}
    return lambda: sum(id(each) not in others for each in list(module._held.values()))


def opened(file: Path) -> np.ndarray | None:
    with file.open("rb", buffering=0) as handle:
        return mapped(handle)


@linux
def test_it_stays_what_it_was_and_who_writes_waits_only_for_the_copy(
    file: Path, held: Callable[[], int]
) -> None:
    memory = opened(file)
    assert memory is not None and not memory.flags.writeable
    began = time.monotonic()
    file.write_bytes(b"other")  # cuts it short first
    assert time.monotonic() - began < 10  # the system would end the wait after 45 seconds
    assert np.array_equal(memory.view(np.int32), np.arange(100_000))
    assert file.read_bytes() == b"other"
    assert until(lambda: held() == 0)  # its work is done
    file.write_bytes(b"again")


@linux
def test_several_are_kept_apart(tmp_path: Path, file: Path, held: Callable[[], int]) -> None:
    other = tmp_path / "other"
    other.write_bytes(bytes(50_000))
    first, second = opened(file), opened(other)
    assert first is not None and second is not None
    os.truncate(other, 10)
    assert not second.any() and len(second) == 50_000
    assert held() == 1
    os.truncate(file, 0)
    assert first.view(np.int32)[-1] == 99_999


@linux
def test_what_nobody_has_any_more_is_let_go(file: Path, held: Callable[[], int]) -> None:
    memory = opened(file)
    assert memory is not None and held() == 1
    part = memory[:10]
    del memory
    gc.collect()
    assert held() == 1
    del part
    assert until(lambda: gc.collect() >= 0 and held() == 0)
    file.write_bytes(b"other")


@linux
def test_a_file_that_takes_its_name_is_nobody_s_wait(
    file: Path, tmp_path: Path, held: Callable[[], int]
) -> None:
    memory = opened(file)
    assert memory is not None
    (tmp_path / "new").write_bytes(b"new")
    os.replace(tmp_path / "new", file)
    assert held() == 1
    assert memory.view(np.int32)[7] == 7


@linux
def test_who_has_it_open_to_write_keeps_it(file: Path) -> None:
    with file.open("r+b"):
        assert opened(file) is None


def test_where_there_are_no_leases_it_says_so(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "seconds").write_text("5")
    monkeypatch.setattr(module, "_BREAK_TIME", tmp_path / "seconds")  # too few to copy in
    assert opened(file) is None
    monkeypatch.setattr(module, "_BREAK_TIME", tmp_path / "none")
    assert opened(file) is None
    monkeypatch.undo()
    monkeypatch.setattr(module, "fcntl", None)
    assert opened(file) is None


@linux
def test_no_signal_reaches_the_program(file: Path) -> None:
    """The system's own choice, SIGIO, ends a program that does not expect it."""
    got: list[int] = []
    before = [(number, signal.signal(number, lambda n, _: got.append(n))) for number in (
        signal.SIGIO, signal.SIGTERM)]  # fmt: skip
    try:
        memory = opened(file)
        assert memory is not None
        writer = threading.Thread(target=file.write_bytes, args=(b"other",))
        writer.start()
        writer.join(10)
        assert not writer.is_alive()
    finally:
        for number, handler in before:
            signal.signal(number, handler)
    assert got == []
    assert len(memory) == 400_000
