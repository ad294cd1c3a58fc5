"""Which of Gradio's scripts a page needs, so that the browser asks for all of them at once.

Gradio's page loads its core, then what lays the components out, then each component: four trips
one after the other before anything is to be seen. Its core names the files of every component (a
table that Vite writes); the page says which components it has. Where the table cannot be read, as
it may be in another version, nothing is preloaded and the page loads as Gradio's own does.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import gradio

_FOLDER = Path(gradio.__file__).parent / "templates" / "frontend" / "assets"
_TABLE = re.compile(r"m\.f=\[([^\]]*)\]")
_COMPONENT = r"[{{,]{}:\{{(?:(?!\}},\w+:\{{).)*?component:\(\)=>\w+\(\(\)=>import\(`\./[^`]+`\)"
_NEEDS = re.compile(r"__vite__mapDeps\(\[([\d,]*)\]\)")
_TYPES = re.compile(rb'"type":\s*"(\w+)"')


def scripts_of(page: bytes) -> bytes:
    """`<link rel="modulepreload">` for the scripts of the components that this page names."""
    names = chunks_of(frozenset(name.decode() for name in _TYPES.findall(page)))
    links = "".join(f'<link rel="modulepreload" href="assets/{name}">' for name in names)
    return links.encode()


@cache
def chunks_of(components: frozenset[str]) -> tuple[str, ...]:
    """The script files, each once; none where Gradio's table is another than is known here."""
    core = next((text for text in map(_text, _FOLDER.glob("core-*.js")) if "m.f=[" in text), "")
    table = _TABLE.search(core)
    if table is None:
        return ()
    files = [name.strip('"').removeprefix("./") for name in table[1].split(",")]
    needed: dict[str, None] = {}
    for component in sorted(components):
        found = re.search(_COMPONENT.format(component), core)
        deps = _NEEDS.search(core, found.end()) if found else None
        for at in deps[1].split(",") if deps else ():
            if at and int(at) < len(files) and files[int(at)].endswith(".js"):
                needed[files[int(at)]] = None
    return tuple(needed)


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")
