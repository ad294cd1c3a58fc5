"""The panel's modules in one file: all of them, in order, one store however it is imported."""

from __future__ import annotations

import re

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from gpt2.ui.page import panel_bundle
from gpt2.ui.page.assets import panel_files, panel_text
from gpt2.ui.page.panel_bundle import bundle, bundled, panel_routes, stub


def test_every_module_stands_after_those_it_imports() -> None:
    order = bundled()
    for at, name in enumerate(order):
        needed = re.findall(r'^import.*?from "\./([\w.]+)";', panel_text(name), re.M | re.S)
        assert all(order.index(other) < at for other in needed), name


def test_it_hands_on_all_that_a_module_exports() -> None:
    exported = re.findall(
        r"^export (?:async )?(?:function|class|const) (\w+)", panel_text("runs.js"), re.M
    )
    assert f"return {{ {', '.join(exported)} }};" in bundle()
    assert f"{{ {', '.join(exported)} }} = modules" in stub("runs.js")


@pytest.mark.parametrize(
    "source", ['import * as all from "./dom.js";\n', "export default 7;\n", 'import "./dom.js";\n']
)
def test_what_it_cannot_read_it_says(monkeypatch: pytest.MonkeyPatch, source: str) -> None:
    monkeypatch.setattr(panel_bundle, "panel_text", lambda name: source)
    with pytest.raises(ValueError, match=r"x\.js has a line that cannot be bundled"):
        panel_bundle._body("x.js")


def test_what_is_served() -> None:
    client = TestClient(Starlette(routes=panel_routes()))
    answer = client.get("/panel/all.js")
    assert answer.headers["content-type"].startswith("text/javascript")
    again = client.get("/panel/all.js", headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert client.get("/panel/source/runs.js").text == panel_text("runs.js")
    for name in panel_files():
        text = client.get(f"/panel/{name}").text
        assert text == (stub(name) if name in bundled() else panel_text(name))
    assert client.get("/panel/../app.py").status_code == 404
