"""Whether a file in the hub's cache has the bytes it should have; the answer is remembered."""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import suppress
from pathlib import Path

from gpt2.checkpoint.watch import DIGEST

_BLOCK = 1 << 20


def named_digest(path: Path) -> str | None:
    """The digest that the cache names `path`'s blob by, or that was noted when it came.

    64 hex digits are the sha256 of a large file, 40 the git blob id of a small one; None where
    nothing is known. Only the first link is followed: a blob may itself be a link into the store
    that repositories share.
    """
    with suppress(OSError, ValueError):
        name = Path(os.readlink(path)).name if path.is_symlink() else _note(path).read_text("utf-8")
        return name if DIGEST.fullmatch(name) else None
    return None


def note_digest(path: Path, digest: str) -> None:
    """Remember what a file should have that is no link, as on disks that refuse links."""
    if not path.is_symlink():
        with suppress(OSError):  # a read-only cache was filled by somebody else
            _write(_note(path), digest)


def _note(path: Path) -> Path:
    return _stamps(path) / f"{path.parent.name}.{path.name}.digest"


def _stamps(path: Path) -> Path:
    return path.parents[2] / ".verified"


def _write(file: Path, text: str) -> None:
    file.parent.mkdir(exist_ok=True)
    partial = file.with_name(f"{file.name}.{os.getpid()}")
    partial.write_text(text, "utf-8")
    os.replace(partial, file)


def has_digest(path: Path, digest: str) -> bool:
    """Whether the file at `path` has this sha256 or git blob id.

    A file found right once is not read again while its size and time of change stay the same.
    """
    if path.is_dir():
        return False
    state = _state(path)
    stamp = _stamps(path) / f"{digest}.json"
    try:
        if json.loads(stamp.read_text("utf-8")) == state:
            return True
    except (OSError, ValueError):
        pass  # never stamped, or the stamp itself is damaged: read the file
    if _digest(path, "sha1" if len(digest) == 40 else "sha256") != digest:
        return False
    with suppress(OSError):  # a read-only cache is verified every time
        _write(stamp, json.dumps(state))
    return True


def remove_if_damaged(path: Path, digest: str) -> bool:
    """Remove `path` and the blob behind it unless it has `digest`; True when it was removed.

    `path` is a file of a snapshot. What a link of it names outside the cache is never touched.
    """
    try:
        before = _state(path)
        if has_digest(path, digest):
            return False
        replaced = _state(path) != before
    except FileNotFoundError:
        return True  # another process found the damage first
    if not replaced:
        cache = path.parents[3].resolve()
        while path.parent.resolve().is_relative_to(cache):
            link = path.parent / os.readlink(path) if path.is_symlink() else None
            if link is not None or not path.is_dir():
                path.unlink(missing_ok=True)
            if link is None:
                break
            path = link
    return True


def _state(path: Path) -> dict[str, int]:
    stat = path.stat()
    return {"size": stat.st_size, "mtime_ns": stat.st_mtime_ns, "inode": stat.st_ino}


def _digest(path: Path, algorithm: str) -> str:
    sum_ = hashlib.new(algorithm, usedforsecurity=False)
    if algorithm == "sha1":
        sum_.update(b"blob %d\0" % path.stat().st_size)  # what git hashes before the content
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            sum_.update(block)
    return sum_.hexdigest()
