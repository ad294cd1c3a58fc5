"""Files that a command is given are looked at before the work, and left as they are."""

from __future__ import annotations

from pathlib import Path

import pytest

from gpt2.runtime.files import check_writable, read_text


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
