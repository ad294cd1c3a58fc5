"""`model.safetensors` to and from a `GPT2Model`, checked tensor by tensor. Never a pickle."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from gpt2.checkpoint.config_file import Stored, config_text, read_stored
from gpt2.checkpoint.errors import CheckpointError
from gpt2.checkpoint.layout import (
    EMBEDDING,
    HEAD,
    file_shapes,
    is_transposed,
    model_name,
    scale_queries,
)
from gpt2.checkpoint.source import CONFIG_FILE, INDEX_FILE, WEIGHTS_FILE, shards_of, weights_files
from gpt2.config import GPT2Config
from gpt2.model import GPT2Model
from gpt2.runtime.units import format_bytes

_DTYPES = ("F32", "F16", "BF16")
_MOST_TENSORS = 20_000  # 48 blocks have 580; the largest config that is read, 14,000
_LONGEST_HEADER = 200 * _MOST_TENSORS  # bytes: a name, a type, a shape and two offsets each
_LISTED = 5  # mismatches in one message; a wrong config.json makes hundreds


class _Tensor(NamedTuple):
    """A tensor in a file: `file.get_tensor(name)` reads it."""

    file: Any
    name: str
    where: str  # the file's name, for people

    def header(self) -> Any:
        return self.file.get_slice(self.name)


class WeightsFile:
    """An open, checked weights file, or several: the shape in `config`, the tensors on demand."""

    def __init__(self, stored: Stored, tensors: dict[str, _Tensor]) -> None:
        self.config = stored.config
        self._stored = stored
        self._tensors = tensors

    def state(self, prefix: str = "") -> dict[str, Tensor]:
        """The tensors whose names begin with `prefix`, without it: float32, as the model has them.

        One is read at a time, so the peak is about one copy. Raises CheckpointError for a tensor
        with values that are not finite.
        """
        return {
            name.removeprefix(prefix): self._read(name, tensor)
            for name, tensor in self._tensors.items()
            if name.startswith(prefix)
        }

    def _read(self, name: str, tensor: _Tensor) -> Tensor:
        rows = self.config.vocab_size if name == EMBEDDING else None
        copy = _read(tensor, is_transposed(name), rows)
        if self._stored.scaled_by_layer:
            scale_queries(name, copy)
        return copy


def check_header(path: Path) -> None:
    """Raises CheckpointError where the list of tensors is longer than any GPT-2's.

    A million of them would take the library a minute and more than a gigabyte to read.
    """
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
    if _LONGEST_HEADER < length < path.stat().st_size:  # longer ones are no safetensors file
        raise CheckpointError(
            f"{path.name} lists its tensors in {format_bytes(length)}; a GPT-2 of "
            f"{_MOST_TENSORS:,} tensors takes {format_bytes(_LONGEST_HEADER)} at most."
        )


@contextmanager
def open_weights(folder: Path) -> Iterator[WeightsFile]:
    """The weights in `folder`. Raises CheckpointError naming each tensor that is wrong.

    Also after the block, where a file has been written over meanwhile: what was read of it is half
    of one model and half of another.
    """
    stored = read_stored(folder)
    before = _stamps(folder)
    with ExitStack() as opened:
        tensors = _match(_open(folder, opened), stored)
        head = tensors.pop(HEAD, None)
        if head is not None and EMBEDDING in tensors:
            _check_tied(head, tensors[EMBEDDING])
        elif head is not None:  # saved under the head's name alone: they are one tensor
            tensors[EMBEDDING] = head
        try:
            yield WeightsFile(stored, tensors)
        except SafetensorError as error:  # somebody writes to the file while it is read
            raise CheckpointError(f"{WEIGHTS_FILE} cannot be read: {error}.") from error
    for name, (number, stamp) in _stamps(folder).items():
        if name in before and before[name][0] == number and before[name][1] != stamp:
            raise CheckpointError(f"{name} was written over while it was read. Try again.")


def _stamps(folder: Path) -> dict[str, tuple[int, tuple[int, int]]]:
    """Of each file of the weights its number on the disk, its size and its time."""
    found = {}
    for file in weights_files(folder):
        with suppress(OSError):
            facts = file.stat()
            found[file.name] = facts.st_ino, (facts.st_size, facts.st_mtime_ns)
    return found


def _open(folder: Path, opened: ExitStack) -> list[_Tensor]:
    """Every tensor of the folder's files, which must be those that an index lists, if there is one.

    Raises CheckpointError for a file that is not whole, or that has not what the index says.
    """
    if (folder / WEIGHTS_FILE).is_file() or not (folder / INDEX_FILE).is_file():
        return _tensors_of(folder / WEIGHTS_FILE, opened)
    tensors: list[_Tensor] = []
    for name, wanted in sorted(shards_of(folder).items()):
        found = _tensors_of(folder / name, opened)
        names = {tensor.name for tensor in found}
        for wrong, what in ((wanted - names, "lacks"), (names - wanted, "has, unlisted,")):
            if wrong:
                raise CheckpointError(
                    f"{name} {what} {_some(sorted(wrong))}: it is not the file that {INDEX_FILE} "
                    "describes."
                )
        tensors += found
    return tensors


def _tensors_of(path: Path, opened: ExitStack) -> list[_Tensor]:
    try:
        file = opened.enter_context(_opened(path))
        return [_Tensor(file, name, path.name) for name in file.keys()]  # noqa: SIM118  # no mapping
    except SafetensorError as error:
        raise CheckpointError(f"{path.name} is not a whole safetensors file: {error}.") from error
    except OSError as error:
        why = error.strerror or "it is not there, or not for this program to read"
        raise CheckpointError(f"{path.name} cannot be read: {why}.") from error


def load_model(folder: Path) -> GPT2Model:
    """The model in `folder`: float32, in eval mode, without gradients.

    Float16 and bfloat16 files are widened. Raises CheckpointError naming each tensor whose name,
    shape, dtype or values are wrong.
    """
    with open_weights(folder) as weights:
        state = weights.state()
    model = empty_model(weights.config)
    model.load_state_dict(state, strict=True, assign=True)
    return model.eval().requires_grad_(False)


def save_model(
    model: GPT2Model, folder: Path, metadata: dict[str, str], dtype: torch.dtype
) -> None:
    """Write `config.json` and `model.safetensors` as the hub has them, each whole or not at all.

    `metadata` goes into the header of the weights, which are rounded to `dtype`. Raises ValueError
    naming a tensor that is not finite in `dtype`.
    """
    state = {}
    for name, tensor in model.state_dict().items():
        state[name] = (tensor.t() if is_transposed(name) else tensor).to(dtype).contiguous()
        if not _is_finite(state[name]):
            raise ValueError(f"{name} has values that are not finite in {dtype}")
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=".saving-", dir=folder) as name:
        partial = Path(name)
        save_file(state, partial / WEIGHTS_FILE, {"format": "pt", **metadata})
        (partial / CONFIG_FILE).write_text(config_text(model.config), "utf-8")
        # safetensors lets only the owner read what it writes.
        shutil.copymode(partial / CONFIG_FILE, partial / WEIGHTS_FILE)
        for file in (WEIGHTS_FILE, CONFIG_FILE):
            os.replace(partial / file, folder / file)


def empty_model(config: GPT2Config) -> GPT2Model:
    """A model to put weights into, without filling it with random ones first where possible."""
    if config.positions == "sinusoidal":
        return GPT2Model.from_config(config)  # its waves are computed when built, not loaded
    with torch.device("meta"):
        return GPT2Model.from_config(config)


def _opened(path: Path) -> Any:
    """The file, read rather than mapped: one that is cut short meanwhile would end the process."""
    if not path.is_file():
        raise FileNotFoundError(errno.ENOENT, "there is no such file")
    check_header(path)
    return safe_open(path, framework="pt", backend="pread")


def _match(tensors: Iterable[_Tensor], stored: Stored) -> dict[str, _Tensor]:
    """The tensors by the model's names, after comparing their headers with the config."""
    expected = file_shapes(replace(stored.config, vocab_size=stored.rows))
    found: dict[str, _Tensor] = {}
    problems = []
    where = WEIGHTS_FILE
    for tensor in tensors:
        name = model_name(tensor.name)
        if name is None:
            continue
        if name in found:
            problems.append(f"{tensor.name} is there twice, as {found[name].name} too")
        found[name] = tensor
        shape = expected[EMBEDDING] if name == HEAD else expected.get(name)
        problems += _compare(tensor, shape)
        where = tensor.where
    problems += [
        f"{name} is missing"
        for name in expected
        if name not in found and not (name == EMBEDDING and HEAD in found)
    ]
    if problems:
        raise CheckpointError(
            f"{where} is not the GPT-2 that {CONFIG_FILE} describes: {_some(problems, '; ')}."
        )
    return found


def _some(problems: list[str], between: str = ", ") -> str:
    more = f"; and {len(problems) - _LISTED} more" if len(problems) > _LISTED else ""
    return f"{between.join(problems[:_LISTED])}{more}"


def _check_tied(head: _Tensor, embedding: _Tensor) -> None:
    if not torch.equal(head.file.get_tensor(head.name), embedding.file.get_tensor(embedding.name)):
        raise CheckpointError(
            f"{head.where}: {HEAD} differs from {EMBEDDING}; only a tied head can run."
        )


def _compare(tensor: _Tensor, shape: tuple[int, ...] | None) -> Iterable[str]:
    if shape is None:
        yield f"{tensor.name[:80]} is not a weight of it"
        return
    header = tensor.header()
    if tuple(header.get_shape()) != shape:
        yield f"{tensor.name} has shape {tuple(header.get_shape())} instead of {shape}"
    if header.get_dtype() not in _DTYPES:
        yield f"{tensor.name} has dtype {header.get_dtype()} instead of {', '.join(_DTYPES)}"


def _read(tensor: _Tensor, transposed: bool, rows: int | None = None) -> Tensor:
    """The tensor as the model has it; of the embedding the first `rows`."""
    values = tensor.file.get_tensor(tensor.name) if rows is None else tensor.header()[:rows]
    if transposed:
        values = values.t()
    # One copy transposes, widens, and leaves the file's own memory, where data may start at an
    # odd address: the hub's headers are not padded.
    copy = torch.empty(values.shape, dtype=torch.float32).copy_(values)
    if not _is_finite(copy):
        raise CheckpointError(
            f"{tensor.where}: {tensor.name} holds numbers that are NaN or infinite."
        )
    return copy


def _is_finite(tensor: Tensor) -> bool:
    least, most = tensor.aminmax()  # NaN spreads to both; no temporary as large as the tensor
    return bool(least.isfinite() and most.isfinite())
