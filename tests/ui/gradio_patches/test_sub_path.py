"""Below a path: what is inside sees every address as if it were served at the root."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from gpt2.ui.gradio_patches.sub_path import SubPath
from gpt2.ui.page.panel_bundle import panel_routes
from tests.asynchronous import run as run_async


def client(prefix: str) -> TestClient:
    routes = [
        Route("/", lambda request: PlainTextResponse(f"page {request.url.query}")),
        *panel_routes(),
    ]
    app: Any = SubPath(Starlette(routes=routes), prefix)
    return TestClient(app, root_path=prefix)


@pytest.mark.parametrize("prefix", ["", "/x", "/x/y"])
def test_a_file_is_found_with_the_path_and_without(prefix: str) -> None:
    asked = client(prefix)
    for path in ("/panel/runs.js", f"{prefix}/panel/runs.js"):
        assert asked.get(path).status_code == 200
    for path in ("/", f"{prefix}/"):
        assert asked.get(f"{path}?a=1").text == "page a=1"
    assert asked.get("/xpanel/runs.js").status_code == 404
    assert asked.get("/x/z/panel/runs.js").status_code == 404


def test_the_path_without_its_slash_is_sent_on_with_what_was_asked() -> None:
    for query in ("", "?__theme=dark&a=%20"):
        reply = client("/x/y").get(f"/x/y{query}", follow_redirects=False)
        assert (reply.status_code, reply.headers["location"]) == (307, f"/x/y/{query}")


def test_other_scopes_pass_as_they_are() -> None:
    seen = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope)

    scope = {"type": "lifespan"}
    run_async(SubPath(app, "/x")(scope, None, None))  # type: ignore[arg-type]  # never called
    assert seen == [scope]
