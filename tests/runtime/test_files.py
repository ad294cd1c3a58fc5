"""Files that a command is given are looked at before the work, and left as they are."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gpt2.runtime.files import check_writable, read_text, remove_leftovers, written_whole

# Begins a file and says so; then waits until it is ended.
BEGINS = """
import sys
from pathlib import Path
from gpt2.runtime.files import written_whole
with written_whole(Path(sys.argv[1])) as file:
    file.write(b"half")
    file.flush()
    print(file.fileno(), flush=True)
    sys.stdin.read()
    file.write(b" and half")
"""


@contextmanager
def beginning(file: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Another process that writes half of `file`, and the rest when its input ends."""
    command = [sys.executable, "-c", BEGINS, str(file)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stdout.readline()
        yield process


def test_what_can_be_written_stays_as_it_is(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    old.write_text("kept")
    check_writable(old)
    check_writable(new)
    assert old.read_text() == "kept"
    assert not new.exists()


def test_what_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for file, why in (
        (tmp_path, "Is a directory"),
        (tmp_path / "none" / "x", "No such file or directory"),
        (tmp_path / "file" / "x", "Not a directory"),
        (tmp_path / ("x" * 300), "File name too long"),
    ):
        with pytest.raises(ValueError, match=rf" cannot be written: {why}\.$"):
            check_writable(file)


def test_what_cannot_be_read_is_said(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"none cannot be read: No such file or directory\.$"):
        read_text(tmp_path / "none")
    (tmp_path / "bytes").write_bytes(b"\xff\xfe")
    with pytest.raises(ValueError, match=r"bytes is not a text in UTF-8\.$"):
        read_text(tmp_path / "bytes")
    (tmp_path / "text").write_text("Zoë", "utf-8")
    assert read_text(tmp_path / "text") == "Zoë"


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("old")
    with pytest.raises(KeyError), written_whole(file) as new:
        new.write(b"half")
        assert file.read_text() == "old"
        raise KeyError
    assert [each.name for each in tmp_path.iterdir()] == ["file"]
    with written_whole(file, 0o644) as new:
        new.write(b"new")
    assert file.read_text() == "new"
    assert file.stat().st_mode & 0o777 == 0o644
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


def test_what_a_killed_process_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "model.int8"
    others = [".model.int8", ".model.int8-notes", ".model.int4-12345678", "model.int8-abcdefgh"]
    for name in others:
        (tmp_path / name).write_text("somebody's")
    (tmp_path / ".model.int8-links_to").symlink_to(tmp_path / others[0])
    with beginning(file) as process:
        process.kill()
    assert len(list(tmp_path.glob(".model.int8-????????"))) == 2
    remove_leftovers(file)
    kept = sorted([*others, ".model.int8-links_to"])
    assert sorted(each.name for each in tmp_path.iterdir()) == kept


def test_what_another_process_is_writing_is_left_to_it(tmp_path: Path) -> None:
    file = tmp_path / "model.int8"
    with beginning(file) as process:
        remove_leftovers(file)
        assert len(list(tmp_path.iterdir())) == 1
        process.communicate()
    assert [each.name for each in tmp_path.iterdir()] == ["model.int8"]
    assert file.read_bytes() == b"half and half"
