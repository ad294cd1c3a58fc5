"""Whether a file in the hub's cache has the bytes it should have; the answer is remembered."""

from __future__ import annotations

import hashlib
import json
import os
import re
from pathlib import Path

_DIGEST = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_BLOCK = 1 << 20


def named_digest(path: Path) -> str | None:
    """The digest that the cache names `path`'s blob by, None where it keeps no blobs.

    64 hex digits are the sha256 of a large file, 40 the git blob id of a small one. Only the first
    link is followed: a blob may itself be a link into the store that repositories share.
    """
    name = Path(os.readlink(path)).name if path.is_symlink() else ""
    return name if _DIGEST.fullmatch(name) else None


def has_digest(path: Path, digest: str) -> bool:
    """Whether the file at `path` has this sha256 or git blob id.

    A file found right once is not read again while its size and time of change stay the same.
    """
    state = _state(path)
    stamp = path.parents[2] / ".verified" / f"{digest}.json"
    try:
        if json.loads(stamp.read_text("utf-8")) == state:
            return True
    except (OSError, ValueError):
        pass  # never stamped, or the stamp itself is damaged: read the file
    if _digest(path, "sha1" if len(digest) == 40 else "sha256") != digest:
        return False
    try:
        stamp.parent.mkdir(exist_ok=True)
        partial = stamp.with_suffix(f".{os.getpid()}")
        partial.write_text(json.dumps(state), "utf-8")
        os.replace(partial, stamp)
    except OSError:
        pass  # a read-only cache is verified every time
    return True


def remove_if_damaged(path: Path, digest: str) -> bool:
    """Remove `path` and the blob behind it unless it has `digest`; True when it was removed."""
    try:
        before = _state(path)
        if has_digest(path, digest):
            return False
        replaced = _state(path) != before
    except FileNotFoundError:
        return True  # another process found the damage first
    if not replaced:
        while path.is_symlink():
            target = path.parent / os.readlink(path)
            path.unlink()
            path = target
        path.unlink(missing_ok=True)
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
