"""Gradio's scripts in one: all a page needs, in order; in doubt, Gradio's own files."""

from __future__ import annotations

import re
from pathlib import Path

import gradio
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from gpt2.ui.gradio_patches import gradio_bundle
from gpt2.ui.gradio_patches.gradio_bundle import (
    TRIED,
    GradioFiles,
    bundle_of,
    preloads,
    with_bundle,
)

COMPONENTS = frozenset(["html", "textbox", "slider", "tabs", "row"])
GRADIO_S = Path(gradio.__file__).parent / "templates" / "frontend"


def client_of(components: frozenset[str]) -> TestClient:
    gradio_s = Route("/assets/{name}", lambda _: PlainTextResponse("Gradio's own"))
    return TestClient(
        Starlette(routes=[gradio_s], middleware=[Middleware(GradioFiles, components=components)])
    )


def test_the_installed_gradio_has_been_tried() -> None:
    assert gradio.__version__ in TRIED


def test_a_script_stands_after_those_it_imports() -> None:
    bundle = bundle_of(COMPONENTS)
    assert bundle is not None
    text = client_of(COMPONENTS).get(f"/assets/{bundle.script}").text
    made = re.findall(r'^__makers\["([\w.-]+)"\]', text, re.M)
    assert any(name.startswith("HTML-") for name in made)
    assert bundle.entry in made
    for at, name in enumerate(made):
        source = (GRADIO_S / "assets" / name).read_text(encoding="utf-8")
        for needed in re.findall(r'(?:from|import)"\./([\w.-]+\.js)";', source):
            assert made.index(needed) < at, name
    assert text.rstrip().endswith(f'__bundled("{bundle.entry}");')


def test_what_a_page_asks_for_is_there_and_the_rest_is_gradio_s() -> None:
    bundle = bundle_of(COMPONENTS)
    assert bundle is not None
    client = client_of(COMPONENTS)
    page = with_bundle((GRADIO_S / "index.html").read_bytes(), COMPONENTS).decode()
    assert bundle.entry not in page
    assert bundle.sheet not in page
    for name in (bundle.script, bundle.styles):
        assert f'"./assets/{name}"' in page
        assert "immutable" in client.get(f"/assets/{name}").headers["cache-control"]
    sheet = (GRADIO_S / "assets" / bundle.sheet).read_text(encoding="utf-8")
    assert client.get(f"/assets/{bundle.styles}").text.startswith(sheet)
    stub = client.get(f"/assets/{bundle.entry}").text
    assert stub.startswith(f'import{{__bundled}}from"./{bundle.script}";')
    assert client.get("/assets/ApiDocs-x.js").text == "Gradio's own"


def test_another_version_loads_as_gradio_s_own_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gradio, "__version__", "6.31.99")
    bundle_of.cache_clear()
    page = (GRADIO_S / "index.html").read_bytes()
    try:
        assert with_bundle(page, COMPONENTS) == page
        links = preloads(COMPONENTS).decode()
        assert client_of(COMPONENTS).get("/assets/x.js").text == "Gradio's own"
    finally:
        bundle_of.cache_clear()
    names = re.findall(r'rel="modulepreload" href="assets/([^"]+)"', links)
    assert len(names) > 20
    assert all((GRADIO_S / "assets" / name).is_file() for name in names)


ENTRY = '<script type="module" crossorigin src="./assets/index-a.js"></script>'
SHEET = '<link rel="stylesheet" crossorigin href="./assets/index-a.css">'
TABLE = 'const __vite__mapDeps=(i,m=__vite__mapDeps,d=(m.f||(m.f=["./H.css","./core-a.js"])))=>i;\n'
INDEX = TABLE + "var e=1;p(()=>import(`./core-a.js`),__vite__mapDeps([1]));export{e as t};\n"
CORE = (
    TABLE + 'import{t as n}from"./index-a.js";var x={html:{component:()=>v(()=>import(`./H.js`),'
    "__vite__mapDeps([0,1]),import.meta.url)}};export{x};\n"
)
SMALL = {
    "../index.html": ENTRY + SHEET,
    "index-a.js": INDEX,
    "index-a.css": "a{}",
    "core-a.js": CORE,
    "H.js": 'import e,{t as n}from"./index-a.js";import"./core-a.js";var h=n;export{h as default};',
    "H.css": "b{}",
}


def small(monkeypatch: pytest.MonkeyPatch, folder: Path, **changed: str) -> str | None:
    """The script of a Gradio of three files."""
    files = SMALL | {name.replace("_", "-", 1) + ".js": text for name, text in changed.items()}
    (folder / "assets").mkdir()
    for name, text in files.items():
        (folder / "assets" / name).write_text(text)
    monkeypatch.setattr(gradio_bundle, "_FOLDER", folder)
    for cached in (bundle_of, gradio_bundle._text):
        cached.cache_clear()
    try:
        bundle = bundle_of(frozenset(["html"]))
        return bundle and client_of(frozenset(["html"])).get(f"/assets/{bundle.script}").text
    finally:
        for cached in (bundle_of, gradio_bundle._text):
            cached.cache_clear()


def test_imports_and_exports_become_what_functions_take_and_return(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    text = small(monkeypatch, tmp_path)
    assert text is not None
    assert 'const{default:e,t:n}=__bundled("index-a.js");__bundled("core-a.js");var h=n;' in text
    assert "return{get default(){return h}}" in text
    assert 'p(()=>__later("core-a.js")' in text
    name = re.search(r'm\.f=\["\./(page-\w+\.css)","\./(page-\w+\.js)"\]', text)
    assert name is not None


@pytest.mark.parametrize(
    "changed",
    [
        {"index_a": "nothing"},
        {"core_a": "export default 7;"},
        {"core_a": CORE + "export*from'./x.js';"},
        {"core_a": CORE.replace("./index-a.js", "./missing.js")},
        {"H": 'import*as e from"./index-a.js";export{e as default};'},
        {"index_a": 'import{x}from"./core-a.js";' + INDEX.split("\n", 1)[1]},
    ],
)
def test_what_it_cannot_read_stays_as_it_is(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, changed: dict[str, str]
) -> None:
    assert small(monkeypatch, tmp_path, **changed) is None
