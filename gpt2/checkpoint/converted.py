"""Weights in another precision, kept beside the file they were made from.

A copy is used only while it is whole, of the wanted version, and made from that very file.
"""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from gpt2.checkpoint.source import WEIGHTS_FILE


def read_converted(folder: Path, kind: str, version: int) -> dict[str, Tensor] | None:
    """The tensors of an earlier `write_converted`, mapped from the file; None if it is no use."""
    path = _path(folder, kind)
    try:
        with safe_open(path, framework="pt") as file:
            if file.metadata() != _identity(folder, version):
                return None
            names = file.keys()
            return {name: file.get_tensor(name) for name in names}
    except (OSError, SafetensorError):
        return None


def write_converted(folder: Path, kind: str, version: int, tensors: dict[str, Tensor]) -> None:
    """Keep `tensors` for next time, whole or not at all; a folder may well be read-only."""
    path = _path(folder, kind)
    with suppress(OSError, SafetensorError):
        handle, partial = tempfile.mkstemp(dir=folder, prefix=f".{path.name}-")
        os.close(handle)
        try:
            save_file(tensors, partial, _identity(folder, version))
            os.replace(partial, path)
        finally:
            Path(partial).unlink(missing_ok=True)


def _path(folder: Path, kind: str) -> Path:
    return folder / f"model.{kind}.safetensors"


def _identity(folder: Path, version: int) -> dict[str, str]:
    """What a copy must say of itself: its version, and which file it was made from.

    The hub's cache names the real file by its content; a file that was changed in place has
    another size or time.
    """
    source = (folder / WEIGHTS_FILE).resolve()
    stat = source.stat()
    return {"version": str(version), "source": f"{source.name} {stat.st_size} {stat.st_mtime_ns}"}
