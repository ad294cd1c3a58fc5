"""Where the page's own files are, and how the browser asks for one of the modules."""

from __future__ import annotations

from gpt2.runtime.assets_folder import ASSETS

PANEL = ASSETS / "panel"


def panel_text(name: str) -> str:
    """One of the panel's files."""
    return (PANEL / name).read_text(encoding="utf-8")


def panel_module(name: str) -> str:
    """JavaScript: a promise of one of the modules in `gpt2.ui.panel_bundle`."""
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
