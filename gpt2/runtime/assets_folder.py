"""Where the vocabulary, the built-in weights and the page's own files are."""

from __future__ import annotations

import sysconfig
from pathlib import Path

_BESIDE = Path(__file__).parents[2] / "assets"  # in the repository
_INSTALLED = Path(sysconfig.get_path("data"), "share", "gpt2-from-scratch", "assets")

ASSETS = _BESIDE if _BESIDE.is_dir() else _INSTALLED
