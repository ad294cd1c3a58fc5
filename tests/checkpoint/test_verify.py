"""What is damaged is removed, and nothing that lies outside the cache."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from gpt2.checkpoint.verify import named_digest, note_digest, remove_if_damaged

CONTENT = b"the weights"
DIGEST = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def snapshot(tmp_path: Path) -> Path:
    """A folder of files, as the hub's client lays it out."""
    folder = tmp_path / "cache" / "models--owner--name" / "snapshots" / ("0" * 40)
    folder.mkdir(parents=True)
    (folder.parents[1] / "blobs").mkdir()
    return folder


def linked(snapshot: Path, content: bytes) -> tuple[Path, Path]:
    blob = snapshot.parents[1] / "blobs" / DIGEST
    blob.write_bytes(content)
    file = snapshot / "model.safetensors"
    file.symlink_to(f"../../blobs/{DIGEST}")
    return file, blob


def test_a_right_file_stays(snapshot: Path) -> None:
    file, blob = linked(snapshot, CONTENT)
    assert named_digest(file) == DIGEST
    assert not remove_if_damaged(file, DIGEST)
    assert file.read_bytes() == CONTENT and blob.exists()


def test_a_damaged_file_goes_with_its_blob(snapshot: Path) -> None:
    file, blob = linked(snapshot, CONTENT + b"!")
    assert remove_if_damaged(file, DIGEST)
    assert not file.is_symlink() and not blob.exists()


@pytest.mark.parametrize("chained", [False, True], ids=["link", "link to a link"])
def test_what_a_link_names_outside_the_cache_stays(
    snapshot: Path, tmp_path: Path, chained: bool
) -> None:
    outside = tmp_path / "precious"
    outside.write_bytes(b"somebody's letters")
    target = outside
    if chained:
        target = tmp_path / "also-outside"
        target.symlink_to(outside)
    file = snapshot / "model.safetensors"
    file.symlink_to(target)
    assert remove_if_damaged(file, DIGEST)
    assert not file.is_symlink()
    assert outside.read_bytes() == b"somebody's letters"
    assert target.exists()


def test_a_folder_in_the_place_of_a_file_stays(snapshot: Path) -> None:
    file = snapshot / "model.safetensors"
    file.symlink_to("../../blobs")
    assert remove_if_damaged(file, DIGEST)
    assert not file.is_symlink() and (snapshot.parents[1] / "blobs").is_dir()


def test_a_file_without_a_link_is_known_by_a_note(snapshot: Path) -> None:
    file = snapshot / "model.safetensors"
    file.write_bytes(CONTENT)
    assert named_digest(file) is None
    note_digest(file, DIGEST)
    assert named_digest(file) == DIGEST
    file.write_bytes(CONTENT + b"!")
    assert remove_if_damaged(file, DIGEST) and not file.exists()


def test_a_damaged_note_is_no_digest(snapshot: Path) -> None:
    file = snapshot / "model.safetensors"
    file.write_bytes(CONTENT)
    note_digest(file, "../../elsewhere")
    assert named_digest(file) is None
