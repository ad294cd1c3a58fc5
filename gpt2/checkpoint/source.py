"""Which files a name stands for: a pinned size, a folder on this computer, or a hub repository."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gpt2.checkpoint.errors import CheckpointError
from gpt2.config import SIZES
from gpt2.runtime.assets_folder import ASSETS
from gpt2.runtime.units import format_bytes

CONFIG_FILE = "config.json"
WEIGHTS_FILE = "model.safetensors"
INDEX_FILE = "model.safetensors.index.json"  # of weights in several files
# The ways to bring a tokenizer, the fullest first.
TOKENIZER_FILES = (("tokenizer.json",), ("vocab.json", "merges.txt"))
# What else may stand beside them: each is looked for, none is needed.
OTHER_FILES = (
    "generation_config.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
)

_SHARDED = re.compile(r"model-\d+-of-\d+\.safetensors")
_SHARD = re.compile(r"[A-Za-z0-9][\w.-]*\.safetensors", re.ASCII)
MOST_JSON = 100_000_000  # bytes; the largest tokenizers have 30 MB
_MOST_SHARDS = 1000
_LONGEST_NAME = 200  # characters of owner/name@revision

_REPOSITORY = re.compile(r"([A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)(?:@([\w./-]+))?")
_COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True, slots=True)
class Source:
    """Where one model's `config.json` and `model.safetensors` are.

    Either `folder` is set, or `repo` and `revision`. `sha256` is that of the weights, where known
    beforehand.
    """

    name: str
    folder: Path | None
    repo: str | None
    revision: str | None
    sha256: str | None

    @property
    def title(self) -> str:
        """The name to show: `Small` rather than `small`, and of a folder its last part alone."""
        if self.name in SIZES:
            return SIZES[self.name].label
        return self.name if self.folder is None else Path(self.name).name or "the model"

    @property
    def address(self) -> tuple[str, str]:
        """Repository and revision. Raises ValueError for a folder."""
        if self.repo is None or self.revision is None:
            raise ValueError(f"{self.name} is a folder, not a hub repository")
        return self.repo, self.revision

    @property
    def pinned(self) -> bool:
        """Whether the revision is a commit, which never changes, rather than a branch or tag."""
        return _COMMIT.fullmatch(self.revision or "") is not None


def find_source(name: str) -> Source:
    """The source for a key of `SIZES`, a folder, or `owner/repository`, also with `@revision`.

    A bare word is a folder only if there is a model in it: `gpt2` in this program's own folder is
    not. Raises ValueError, which lists the sizes, for any other name. Looks at no file but the
    folder.
    """
    size = SIZES.get(name)
    if size is not None:
        folder = ASSETS / name if size.built_in else None
        return Source(name, folder, size.repo, size.revision, size.sha256)
    folder = _folder(name)
    if folder is not None:
        return Source(name, folder, None, None, None)
    match = _REPOSITORY.fullmatch(name) if len(name) <= _LONGEST_NAME else None
    if match and ".." not in name:
        return Source(name, None, match[1], match[2] or "main", None)
    shown = name if len(name) <= _LONGEST_NAME else f"{name[:40]}…"
    if Path(shown).is_absolute():
        shown = Path(shown).name  # visitors may read it
    known = next((n for n, s in SIZES.items() if s.repo and s.repo.endswith(f"/{name}")), None)
    hint = f" ({name} is called {known} here)" if known else ""
    raise ValueError(
        f"{shown!r} is no model{hint}: choose one of {', '.join(SIZES)}, an existing folder, "
        "or a hub repository as owner/name"
    )


def _folder(name: str) -> Path | None:
    try:
        folder = Path(name).expanduser()
        if not name or not folder.is_dir():
            return None
    except (OSError, ValueError, RuntimeError):  # too long, a NUL, the home of nobody
        return None
    word = folder.name == name and name not in (".", "..")
    return None if word and not (folder / CONFIG_FILE).is_file() else folder.resolve()


def has_weights(folder: Path) -> bool:
    """Whether all files of the weights are in `folder`, right or not."""
    if (folder / WEIGHTS_FILE).is_file():
        return True
    if not (folder / INDEX_FILE).is_file():
        return False
    try:
        return all((folder / file).is_file() for file in shards_of(folder))
    except CheckpointError:
        return True  # reading it says what is wrong


def weights_stamp(folder: Path) -> tuple[tuple[str, int, int, int], ...]:
    """Which files a model was read from: names, sizes, times and numbers on the disk."""
    known = {CONFIG_FILE, WEIGHTS_FILE, INDEX_FILE, *OTHER_FILES, *sum(TOKENIZER_FILES, ())}
    files = sorted(
        file
        for file in folder.iterdir()
        # Not the packed copies that this program itself keeps beside them.
        if file.name in known or _SHARDED.fullmatch(file.name)
    )
    stats = [(file.name, file.stat()) for file in files]
    return tuple((name, s.st_size, s.st_mtime_ns, s.st_ino) for name, s in stats)


def weights_files(folder: Path) -> list[Path]:
    """The files of the weights in `folder`."""
    one = (folder / WEIGHTS_FILE).is_file() or not (folder / INDEX_FILE).is_file()
    return [folder / name for name in ([WEIGHTS_FILE] if one else sorted(shards_of(folder)))]


def weights_size(folder: Path) -> int:
    """Bytes of the files of the weights in `folder`."""
    return sum(file.stat().st_size for file in weights_files(folder))


def shards_of(folder: Path) -> dict[str, set[str]]:
    """The files that the index in `folder` lists, each with the names of its tensors.

    Raises CheckpointError for an index that is none, or that names anything but files beside it.
    """
    file_of = read_object(folder / INDEX_FILE).get("weight_map")
    if not isinstance(file_of, dict) or not file_of:
        raise CheckpointError(f"{INDEX_FILE} has no weight_map.")
    files: dict[str, set[str]] = {}
    for tensor, file in file_of.items():
        if not isinstance(file, str) or not _SHARD.fullmatch(file):
            raise CheckpointError(
                f"{INDEX_FILE} names {str(file)[:60]!r}, which is no safetensors file beside it."
            )
        files.setdefault(file, set()).add(tensor)
    if len(files) > _MOST_SHARDS:
        raise CheckpointError(f"{INDEX_FILE} lists {len(files):,} files; that is no GPT-2.")
    return files


def read_object(path: Path) -> dict[str, Any]:
    """The JSON object in a file. Raises CheckpointError, which names the file, not its folder."""
    try:
        if path.stat().st_size > MOST_JSON:
            raise CheckpointError(f"{path.name} has more than {format_bytes(MOST_JSON)}.")
        keys = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise CheckpointError(f"{path.name} cannot be read: {error.strerror}.") from error
    except RecursionError as error:
        raise CheckpointError(f"{path.name} is nested too deep.") from error
    except ValueError as error:
        raise CheckpointError(f"{path.name} is not JSON: {error}.") from error
    if not isinstance(keys, dict):
        raise CheckpointError(
            f"{path.name} holds a {type(keys).__name__}, not an object with keys."
        )
    return keys
