"""Where the page's own files are, and the route under which the browser finds the modules."""

from __future__ import annotations

from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

from gpt2.runtime.assets_folder import ASSETS

PANEL = ASSETS / "panel"


def panel_text(name: str) -> str:
    """One of the panel's files."""
    return (PANEL / name).read_text(encoding="utf-8")


def mount_script(module: str, *events: str) -> str:
    """What Gradio runs when a view appears: load the module, which does the rest.

    `events` are those the view sends; Gradio allows a name only where it finds it here, in quotes.
    """
    return (
        f'import(new URL("panel/{module}", document.baseURI))'
        ".then((module) => module.mount(element, props, watch, server, trigger));"
        + "".join(f' "{event}";' for event in events)
    )


def panel_route() -> Mount:
    """Serves `assets/panel/` and nothing else."""
    return Mount("/panel", StaticFiles(directory=PANEL))
