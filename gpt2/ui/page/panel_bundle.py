"""The panel's modules as one file, put together when the server starts: no build step.

Sixty files of two kilobytes each cost a visitor far away sixty answers and, since a module names
the ones it needs only once it is there, five trips one after the other. So `panel/all.js` holds
every module that the page begins with, each in a function of its own; under a module's own name
comes a stub that hands on what the bundle made, so that there is one store however it is imported.
The sources themselves, which a page saved for offline use is made of, are under `panel/source/`.

The modules keep to what this can read: static imports of names from `./file.js` at the beginning
of a line, `export` before a declaration, no exported variable that changes.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from gpt2.serving.packed import Packed
from gpt2.ui.page.assets import panel_files, panel_text

NAME = "all.js"

# What the page asks for by name (`mount_script`, and the scripts of its events).
_ENTRIES = (
    "output_view.js",
    "attention_view.js",
    "run_note.js",
    "text_line.js",
    "learn_bar.js",
    "link.js",
    "session_store.js",
    "fetched.js",
    "writing_pace.js",
    "compare_view.js",
    "surprise_view.js",
    "figures_view.js",
)
_IMPORT = re.compile(r'^import\s*\{([^}]*)\}\s*from\s*"\./([\w.]+)";\n', re.MULTILINE)
_EXPORT = re.compile(
    r"^export\s+(?=(?:async\s+)?(?:function\*?|class|const)\s+(\w+))", re.MULTILINE
)
_COMMENT = re.compile(r"^[ \t]*(?://.*|/\*\*(?:[^*]|\*(?!/))*\*/)\n", re.MULTILINE)


@cache
def bundled() -> tuple[str, ...]:
    """The names of the modules in the bundle, each after those it imports."""
    order: list[str] = []
    begun: set[str] = set()

    def add(name: str) -> None:
        if name in order:
            return
        if name in begun:
            raise ValueError(f"{name} imports itself by way of others; it cannot be bundled")
        begun.add(name)
        for _, needed in _IMPORT.findall(panel_text(name)):
            add(needed)
        order.append(name)

    for name in _ENTRIES:
        add(name)
    return tuple(order)


@cache
def bundle() -> str:
    """The text of `panel/all.js`. Raises ValueError for a module that it cannot read."""
    parts = ["const m = {};\n"]
    parts += [f'm["{name}"] = (() => {{\n{_body(name)}}})();\n' for name in bundled()]
    return "".join(parts) + "export { m as modules };\n"


@cache
def stub(name: str) -> str:
    """What stands under the name of a module that is in the bundle."""
    names = ", ".join(_EXPORT.findall(panel_text(name)))
    return (
        f'import {{ modules }} from "./{NAME}";\nexport const {{ {names} }} = modules["{name}"];\n'
    )


def panel_routes() -> list[BaseRoute]:
    """Serves `assets/panel/` and nothing else: the bundle, its stubs, and the files as they are."""
    made = [Route(f"/panel/{name}", _script(stub(name))) for name in bundled()]
    sources = [Route("/panel/source/{name}", _file), Route("/panel/{name}", _file)]
    return [Route(f"/panel/{NAME}", _script(bundle())), *made, *sources]


def _file(request: Request) -> Response:
    name = request.path_params["name"]
    if name not in panel_files():
        return Response(status_code=404)
    return _packed(name).answer(request)


@cache
def _packed(name: str) -> Packed:
    kind = "javascript" if name.endswith(".js") else name.rpartition(".")[2]
    return Packed(panel_text(name), f"text/{kind}")


def _script(text: str) -> Callable[[Request], Response]:
    return Packed(text, "text/javascript").answer


def _body(name: str) -> str:
    source = panel_text(name)
    exports = _EXPORT.findall(source)
    source = _IMPORT.sub(_taken, source)
    source = _COMMENT.sub("", _EXPORT.sub("", source))
    if found := re.search(r"^(?:import\s|export\s).*", source, re.MULTILINE):
        raise ValueError(f"{name} has a line that cannot be bundled: {found[0]}")
    return f"{source}return {{ {', '.join(exports)} }};\n"


def _taken(found: re.Match[str]) -> str:
    names = re.sub(r"(\w+)\s+as\s+(\w+)", r"\1: \2", found[1])
    return f'const {{{names}}} = m["{found[2]}"];\n'
