"""The page's own files, and how the browser asks for one of the modules.

They lie in folders by room, for those who read them. A file's address is its name alone, which no
two have in common: so a module may change rooms, and addresses stay.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from gpt2.runtime.assets_folder import ASSETS

PANEL = ASSETS / "panel"

_FROM_ROOM = re.compile(
    r'^((?:import|\}).*? from "|import ")\.\./\w+/(?=[\w.]+";$)|(\bimport\(")\.\./\w+/',
    re.MULTILINE,
)


@cache
def panel_files() -> dict[str, Path]:
    """Every file of the panel by its name. Raises ValueError where two have the same."""
    found: dict[str, Path] = {}
    for path in sorted(PANEL.rglob("*.*")):
        if path.name in found:
            raise ValueError(f"{path} and {found[path.name]} have the same name.")
        found[path.name] = path
    return found


def panel_text(name: str) -> str:
    """One of the panel's files, importing others as if all lay in one folder."""
    return _FROM_ROOM.sub(r"\1\2./", panel_files()[name].read_text(encoding="utf-8"))


def panel_module(name: str) -> str:
    """JavaScript: a promise of one of the modules in `gpt2.ui.page.panel_bundle`."""
    return (
        'import(new URL("panel/all.js", document.baseURI))'
        f'.then(({{ modules }}) => modules["{name}"])'
    )


def mount_script(module: str, *events: str) -> str:
    """What Gradio runs when a view appears: load the module, which does the rest.

    `events` are those the view sends; Gradio allows a name only where it finds it here, in quotes.
    """
    return (
        f"{panel_module(module)}"
        ".then((module) => module.mount(element, props, watch, server, trigger));"
        + "".join(f' "{event}";' for event in events)
    )
