"""Where the page's own files are, and the route under which the browser finds the modules."""

from __future__ import annotations

from pathlib import Path

from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

PANEL = Path(__file__).parents[2] / "assets" / "panel"


def panel_text(name: str) -> str:
    """One of the panel's files."""
    return (PANEL / name).read_text(encoding="utf-8")


def mount_script(module: str) -> str:
    """What Gradio runs when a view appears: load the module, which does the rest."""
    return (
        f'import(new URL("panel/{module}", document.baseURI))'
        ".then((module) => module.mount(element, props, watch, server));"
    )


def panel_route() -> Mount:
    """Serves `assets/panel/` and nothing else."""
    return Mount("/panel", StaticFiles(directory=PANEL))
