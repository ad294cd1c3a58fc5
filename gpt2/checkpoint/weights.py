"""`model.safetensors` to and from a `GPT2Model`, checked tensor by tensor. Never a pickle."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from gpt2.checkpoint.config_file import config_text, read_config
from gpt2.checkpoint.errors import CheckpointError
from gpt2.checkpoint.layout import HEAD, file_shapes, is_transposed, model_name
from gpt2.checkpoint.source import CONFIG_FILE, WEIGHTS_FILE
from gpt2.config import GPT2Config
from gpt2.model import GPT2Model

_DTYPES = ("F32", "F16", "BF16")
_MOST_TENSORS = 20_000  # 48 blocks have 580; the largest config that is read, 14,000
_LONGEST_HEADER = 200 * _MOST_TENSORS  # bytes: a name, a type, a shape and two places each
_LISTED = 5  # mismatches in one message; a wrong config.json makes hundreds


class WeightsFile:
    """An open, checked weights file: its shape in `config`, and its tensors on demand."""

    def __init__(self, config: GPT2Config, file: Any, names: dict[str, str], path: Path) -> None:
        self.config = config
        self._file = file
        self._names = names
        self._path = path

    def state(self, prefix: str = "") -> dict[str, Tensor]:
        """The tensors whose names begin with `prefix`, without it: float32, as the model has them.

        One is read at a time, so the peak is about one copy. Raises CheckpointError for a tensor
        with values that are not finite.
        """
        return {
            name.removeprefix(prefix): _read(self._file, file_name, is_transposed(name), self._path)
            for name, file_name in self._names.items()
            if name.startswith(prefix)
        }


def check_header(path: Path) -> None:
    """Raises CheckpointError where the list of tensors is longer than any GPT-2's.

    A million of them would take the library a minute and more than a gigabyte to read.
    """
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
    if _LONGEST_HEADER < length < path.stat().st_size:  # longer ones are no safetensors file
        raise CheckpointError(
            f"{path.name} lists its tensors in {length / 1e6:.0f} MB; a GPT-2 of {_MOST_TENSORS:,} "
            f"tensors takes {_LONGEST_HEADER / 1e6:.0f} MB at most."
        )


@contextmanager
def open_weights(folder: Path) -> Iterator[WeightsFile]:
    """The weights in `folder`. Raises CheckpointError naming each tensor that is wrong."""
    config = read_config(folder)
    path = folder / WEIGHTS_FILE
    try:
        check_header(path)
        with safe_open(path, framework="pt") as file:
            names = _match(file, config, path)
            if HEAD in names:
                _check_tied(file, names.pop(HEAD), names["wte.weight"], path)
            yield WeightsFile(config, file, names, path)
    except SafetensorError as error:
        raise CheckpointError(f"{path} is not a whole safetensors file: {error}.") from error
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error}.") from error


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


def _match(file: Any, config: GPT2Config, path: Path) -> dict[str, str]:
    """The model's names to the file's, after comparing the header with `config`."""
    expected = file_shapes(config)
    names: dict[str, str] = {}
    problems = []
    for file_name in file.keys():  # noqa: SIM118  # safe_open is no mapping
        name = model_name(file_name)
        if name is None:
            continue
        if name in names:
            problems.append(f"{file_name} is there twice, as {names[name]} too")
        names[name] = file_name
        shape = expected["wte.weight"] if name == HEAD else expected.get(name)
        problems += _compare(file.get_slice(file_name), file_name, shape)
    problems += [f"{name} is missing" for name in expected if name not in names]
    if problems:
        more = f"; and {len(problems) - _LISTED} more" if len(problems) > _LISTED else ""
        raise CheckpointError(
            f"{path} is not the GPT-2 that {CONFIG_FILE} describes: "
            f"{'; '.join(problems[:_LISTED])}{more}."
        )
    return names


def _check_tied(file: Any, head: str, embedding: str, path: Path) -> None:
    if not torch.equal(file.get_tensor(head), file.get_tensor(embedding)):
        raise CheckpointError(f"{path}: {HEAD} differs from wte.weight; only a tied head can run.")


def _compare(header: Any, file_name: str, shape: tuple[int, ...] | None) -> Iterable[str]:
    if shape is None:
        yield f"{file_name} is not a weight of it"
        return
    if tuple(header.get_shape()) != shape:
        yield f"{file_name} has shape {tuple(header.get_shape())} instead of {shape}"
    if header.get_dtype() not in _DTYPES:
        yield f"{file_name} has dtype {header.get_dtype()} instead of {', '.join(_DTYPES)}"


def _read(file: Any, file_name: str, transposed: bool, path: Path) -> Tensor:
    tensor = file.get_tensor(file_name)
    if transposed:
        tensor = tensor.t()
    # One copy transposes, widens, and leaves the file's own memory, where data may start at an
    # odd address: the hub's headers are not padded.
    copy = torch.empty(tensor.shape, dtype=torch.float32).copy_(tensor)
    if not _is_finite(copy):
        raise CheckpointError(f"{path}: {file_name} holds numbers that are NaN or infinite.")
    return copy


def _is_finite(tensor: Tensor) -> bool:
    least, most = tensor.aminmax()  # NaN spreads to both; no temporary as large as the tensor
    return bool(least.isfinite() and most.isfinite())
