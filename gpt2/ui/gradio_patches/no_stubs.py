"""Gradio without the type stubs it writes: importing it takes half the time.

For every component class, its own and ours, `gradio.component_meta.create_or_modify_pyi` parses the
class's file several times to keep a `.pyi` beside it that only editors read: a second of the two
that the import takes, and files in the source tree which type checkers prefer to the source.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

_MODULE = "gradio.component_meta"


class _Finder(MetaPathFinder):
    """Finds this one module as Python would, and changes it as soon as it has run."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        spec = PathFinder.find_spec(name, path, target) if name == _MODULE else None
        if spec is None or spec.loader is None:
            return None
        loader: Any = spec.loader
        run = loader.exec_module

        def exec_module(module: ModuleType) -> None:
            run(module)
            _change(module)

        loader.exec_module = exec_module
        return spec


def write_no_stubs() -> None:
    """To be called before Gradio is imported; later it still spares our own components."""
    if module := sys.modules.get(_MODULE):
        _change(module)
    else:
        sys.meta_path.insert(0, _Finder())


def _change(module: Any) -> None:
    module.create_or_modify_pyi = lambda *_: None
