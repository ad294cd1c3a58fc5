"""Which files a name stands for: a pinned size, a folder on this computer, or a hub repository."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from gpt2.config import SIZES
from gpt2.runtime.assets_folder import ASSETS

CONFIG_FILE = "config.json"
WEIGHTS_FILE = "model.safetensors"

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
        """The name to show: `Small` rather than `small`."""
        return SIZES[self.name].label if self.name in SIZES else self.name

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

    Raises ValueError, which lists the sizes, for any other name. Looks at no file but the folder.
    """
    size = SIZES.get(name)
    if size is not None:
        folder = ASSETS / name if size.built_in else None
        return Source(name, folder, size.repo, size.revision, size.sha256)
    folder = Path(name).expanduser()
    if name and folder.is_dir():
        return Source(name, folder.resolve(), None, None, None)
    match = _REPOSITORY.fullmatch(name)
    if match:
        return Source(name, None, match[1], match[2] or "main", None)
    raise ValueError(
        f"{name!r} is no model: choose one of {', '.join(SIZES)}, an existing folder, "
        "or a hub repository as owner/name"
    )
