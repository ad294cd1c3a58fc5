"""Which weights a model has: one digest of its files."""

from __future__ import annotations

import hashlib
from pathlib import Path

from gpt2.checkpoint.source import weights_files
from gpt2.checkpoint.verify import named_digest

_BLOCK = 1 << 20


def weights_digest(folder: Path) -> str:
    """The sha256 of the weights in `folder`; of several files that of their digests, in order.

    A file that the hub's cache names by its digest is not read. Raises OSError.
    """
    digests = [_digest(file) for file in weights_files(folder)]
    if len(digests) == 1:
        return digests[0]
    return hashlib.sha256("".join(digests).encode()).hexdigest()


def _digest(file: Path) -> str:
    known = named_digest(file)
    if known is not None and len(known) == 64:
        return known
    found = hashlib.sha256()
    with file.open("rb") as data:
        while block := data.read(_BLOCK):
            found.update(block)
    return found.hexdigest()
