"""Gradio's scripts and styles for this page as one file each, put together when the server starts.

Gradio's page asks for its core, then for what lays the components out, then for each component:
forty scripts and thirty style sheets, in four trips one after the other. Here they come as one
script and one sheet, under addresses that change with them; the page is told of these instead.
Each script stands in a function of its own, which runs when the first of the others needs it, as a
module does. Whatever else imports one of them (the API page, a chart) finds under its own name a
stub, so that there is one Svelte and one store however it is reached.

The scripts are what Vite writes: imports first, one `export{...}` at the end, a table of files
(`m.f=[...]`). A script in any other shape, or another version of Gradio than was tried, makes no
bundle, and the page loads as Gradio's own does. What an importer gets here is the value at the time
it begins and no live binding; that nothing changes later, `tests/browser/test_first_load.py` shows
for the versions named here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path

import gradio
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from gpt2.serving.packed import Packed

# Versions whose bundle has been through the browser tests, and what their first script exports that
# has no value yet when others begin: the window, which Svelte learns with the first component.
TRIED = {"6.31.0": {"vt": "window"}}

_FOLDER = Path(gradio.__file__).parent / "templates" / "frontend"
_ASSETS = "assets"
# What the page begins with beside its components, by the beginning of the file's name.
_PARTS = ("Index-", "core-", "Blocks-")

# What Gradio loads for a component that shows nothing (a call of the API).
_UNSEEN = "state"

_ENTRY = re.compile(r'<script type="module" crossorigin src="\./assets/([\w.-]+\.js)"></script>')
_SHEET = re.compile(r'<link rel="stylesheet" crossorigin href="\./assets/([\w.-]+\.css)">')
_TABLE = re.compile(r"m\.f=\[([^\]]*)\]")
_HEAD = re.compile(
    r"(?P<table>const __vite__mapDeps=[^\n]*\n)?"
    r'(?P<imports>(?:import(?:[\w$,{} ]+from)?"\./[\w.-]+\.js";)*)'
)
_IMPORT = re.compile(r'import(?:(?P<names>[\w$,{} ]+)from)?"\./(?P<file>[\w.-]+\.js)";')
_NAMES = re.compile(r"(?:(?P<default>[\w$]+),?)?(?:\{(?P<named>[^}]*)\})?")
_TAIL = re.compile(r"export\{(?P<names>[\w$, ]+)\};\s*$")
_MODULE = re.compile(
    r"""(?<![\w$."`])(?:import\s*[{*"]|import\s+[\w$]+\s+from"""
    r"""|export\s*[{*]|export\s+(?:default|var|let|const|function|class|async)\b)"""
)
_LATER = re.compile(r"import\(`\./([\w.-]+\.js)`\)")
_COMPONENT = r"[{{,]{}:\{{(?:(?!\}},\w+:\{{).)*?component:\(\)=>\w+\(\(\)=>import\(`\./([^`]+)`\)"
_NEEDS = re.compile(r"__vite__mapDeps\(\[([\d,]*)\]\)")

# What is wanted once Gradio has begun: asked for now, it leaves the line to Gradio until then.
_NEXT = "panel/all.js"
_BEGIN = (
    'document.head.append(Object.assign(document.createElement("link"),'
    f'{{rel:"modulepreload",href:new URL("{_NEXT}",document.baseURI)}}));'
    "const __made={},__makers={};"
    "export const __bundled=n=>__made[n]??=__makers[n]();"
    "const __later=async n=>__bundled(n);\n"
)


class Unreadable(Exception):
    """A script that is not in the shape known here."""


@dataclass(frozen=True)
class Bundle:
    """One script and one sheet, the files they stand for, and where they are served."""

    entry: str  # Gradio's names
    sheet: str
    script: str
    styles: str
    files: dict[str, Packed]  # by name: the two, and a stub for each script in the bundle


class GradioFiles:
    """ASGI middleware: the bundle and its stubs, in front of Gradio's own files."""

    def __init__(self, app: ASGIApp, components: frozenset[str]) -> None:
        self._app = app
        bundle = bundle_of(components)
        self._files = bundle.files if bundle else {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app = self._app
        if scope["type"] == "http" and scope["method"] in ("GET", "HEAD"):
            folder, _, name = scope["path"].rpartition("/")
            if folder == f"/{_ASSETS}" and name in self._files:
                app = self._files[name].answer(Request(scope))
        await app(scope, receive, send)


def with_bundle(page: bytes, components: frozenset[str]) -> bytes:
    """Gradio's page, asking for the bundle. Where there is none it stays as it is."""
    bundle = bundle_of(components)
    if bundle is None:
        return page
    for old, new in ((bundle.entry, bundle.script), (bundle.sheet, bundle.styles)):
        page = page.replace(f'"./{_ASSETS}/{old}"'.encode(), f'"./{_ASSETS}/{new}"'.encode())
    return page


def preloads(components: frozenset[str]) -> bytes:
    """`<link rel="modulepreload">` for all scripts of a page without a bundle, if known."""
    if bundle_of(components) is not None:
        return b""
    names = (_NEXT, *(f"{_ASSETS}/{name}" for name in _scripts(components)))
    return "".join(f'<link rel="modulepreload" href="{name}">' for name in names).encode()


@cache
def bundle_of(components: frozenset[str]) -> Bundle | None:
    """What a page with these components loads; None where that is not known for sure."""
    if not components or gradio.__version__ not in TRIED:
        return None
    try:
        return _bundle(components)
    except (Unreadable, OSError):
        return None


@cache
def _scripts(components: frozenset[str]) -> tuple[str, ...]:
    try:
        return tuple(_needed(*_first(), components)[0]) if components else ()
    except (Unreadable, OSError):
        return ()


def _bundle(components: frozenset[str]) -> Bundle:
    entry, sheet = _first()
    order, styles = _needed(entry, sheet, components)
    styles_text = "\n".join(map(_text, styles))
    if "@import" in styles_text or "@charset" in styles_text:
        raise Unreadable("style sheets that must come first")
    styles_name = f"page-{_digest(styles_text)}.css"
    # The script says its own name, which depends on what is in it: on all but that name.
    known = {**dict.fromkeys(styles, styles_name), **dict.fromkeys(order, "page.js")}
    body = "".join(_wrapped(name, entry, set(order), known) for name in order)
    body = body.replace(f"./{_ASSETS}/{sheet}", f"./{_ASSETS}/{styles_name}")
    text = f'{_BEGIN}{body}__bundled("{entry}");\n'
    script_name = f"page-{_digest(text)}.js"
    text = text.replace('"./page.js"', f'"./{script_name}"')
    files = {name: Packed(_stub(name, script_name), "text/javascript") for name in order}
    files[script_name] = Packed(text, "text/javascript", forever=True)
    files[styles_name] = Packed(styles_text, "text/css", forever=True)
    return Bundle(entry, sheet, script_name, styles_name, files)


def _first() -> tuple[str, str]:
    """The script and the sheet that Gradio's page begins with."""
    page = (_FOLDER / "index.html").read_text(encoding="utf-8")
    return _one(_ENTRY, page), _one(_SHEET, page)


def _needed(entry: str, sheet: str, components: frozenset[str]) -> tuple[list[str], list[str]]:
    """The scripts, each after those it imports, and the style sheets."""
    order: list[str] = []
    styles: dict[str, None] = {sheet: None}
    begun: set[str] = set()

    def add(name: str) -> None:
        if name in order:
            return
        if name in begun:
            raise Unreadable(f"{name} imports itself by way of others")
        begun.add(name)
        source = _text(name)
        for needed in _IMPORT.finditer(_head(source)["imports"]):
            add(needed["file"])
        order.append(name)

    def add_later(name: str, wanted: re.Pattern[str]) -> None:
        """Those that `name` imports when they are wanted, and the styles that go with them."""
        source = _text(name)
        table = _table(source)
        for found in wanted.finditer(source):
            add(found[1])
            deps = _NEEDS.match(source, source.find("__vite__mapDeps(", found.end()))
            for at in deps[1].split(",") if deps else ():
                if at and table[int(at)].endswith(".css"):
                    styles[table[int(at)]] = None

    parts = re.compile(rf"import\(`\./((?:{'|'.join(_PARTS)})[\w-]+\.js)`\)")
    add(entry)
    add_later(entry, parts)
    layout = [name for name in order if name.startswith(_PARTS[0])]
    core = [name for name in order if name.startswith(_PARTS[1])]
    if len(core) != 1:
        raise Unreadable("no core")
    blocks = re.compile(rf"import\(`\./({_PARTS[2]}[\w-]+\.js)`\)")
    for name in layout:
        add_later(name, blocks)
    for component in sorted(components | {_UNSEEN}):
        add_later(core[0], re.compile(_COMPONENT.format(component)))
    return order, list(styles)


def _wrapped(name: str, entry: str, bundled: set[str], known: dict[str, str]) -> str:
    """A script as a function that returns what it exports."""
    source = _text(name)
    head = _head(source)
    body = source[head.end() :].rstrip()
    tail = _TAIL.search(body)
    exports = _pairs(tail["names"]) if tail else []
    body = body[: tail.start()] if tail else body
    if "__bundled" in source or _MODULE.search(body):
        raise Unreadable(name)
    table = _TABLE.sub(lambda found: _renamed(found[1], known), head["table"] or "")
    body = _LATER.sub(
        lambda found: f'__later("{found[1]}")' if found[1] in bundled else found[0], body
    )
    imports = "".join(_taken(found, entry) for found in _IMPORT.finditer(head["imports"]))
    returned = ",".join(f"get {out}(){{return {local}}}" for local, out in exports)
    # In parentheses: browsers then read the function at once, not when it is called.
    return f'__makers["{name}"]=(()=>{{{table}{imports}{body}\nreturn{{{returned}}}}});\n'


def _taken(found: re.Match[str], entry: str) -> str:
    """An import as what takes the names from the other script's exports."""
    made = f'__bundled("{found["file"]}")'
    early = TRIED.get(gradio.__version__, {}) if found["file"] == entry else {}
    if found["names"] is None:
        return f"{made};"
    names = _NAMES.fullmatch(found["names"].strip())
    if names is None:
        raise Unreadable(found[0])
    taken = [f"default:{names['default']}"] if names["default"] else []
    for out, local in _pairs(names["named"] or ""):
        taken.append(f"{out}:{local}={early[out]}" if out in early else f"{out}:{local}")
    return f"const{{{','.join(taken)}}}={made};"


def _stub(name: str, script_name: str) -> str:
    """What stands under the name of a script in the bundle, for those that are not in it."""
    tail = _TAIL.search(_text(name))
    outs = [out for _, out in _pairs(tail["names"])] if tail else []
    takes = ",".join(f"{out}:_{at}" for at, out in enumerate(outs))
    gives = ",".join(f"_{at} as {out}" for at, out in enumerate(outs))
    return (
        f'import{{__bundled}}from"./{script_name}";const{{{takes}}}=__bundled("{name}");'
        f"export{{{gives}}};\n"
    )


def _renamed(table: str, known: dict[str, str]) -> str:
    names = (name.strip('"').removeprefix("./") for name in table.split(","))
    return "m.f=[" + ",".join(f'"./{known.get(name, name)}"' for name in names) + "]"


def _table(source: str) -> list[str]:
    table = _TABLE.search(source)
    return [n.strip('"').removeprefix("./") for n in table[1].split(",")] if table else []


def _pairs(names: str) -> list[tuple[str, str]]:
    """`a as b,c` as [("a", "b"), ("c", "c")]."""
    parts = (name.split(" as ") for name in names.split(",") if name)
    return [(part[0].strip(), part[-1].strip()) for part in parts]


def _head(source: str) -> re.Match[str]:
    found = _HEAD.match(source)
    assert found is not None  # every part of it may be missing
    return found


def _one(pattern: re.Pattern[str], text: str) -> str:
    found = pattern.findall(text)
    if len(found) != 1:
        raise Unreadable(pattern.pattern)
    return str(found[0])


@cache
def _text(name: str) -> str:
    return (_FOLDER / _ASSETS / name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:16]
