"""What is done to an answer on its way out: pages name their scripts, and travel compressed."""

from __future__ import annotations

import base64
import hashlib

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from gpt2.ui.first_scripts import with_first_scripts
from gpt2.ui.guard import Guard

SCRIPT = b"let one = '\xc3\xa9';"
PAGE = b"<!doctype html><base href='./'><p>" + 999 * b"x" + b"</p><script>" + SCRIPT + b"</script>"


async def page(_: Request) -> Response:
    return HTMLResponse(PAGE)


async def pieces(_: Request) -> Response:
    return StreamingResponse((PAGE[at : at + 100] for at in range(0, len(PAGE), 100)), 200, None,
                             "text/html")  # fmt: skip


async def numbers(_: Request) -> Response:
    return JSONResponse({"x": "y" * 999})


@pytest.fixture
def client() -> TestClient:
    routes = [
        Route("/", page),
        Route("/panel/pieces", pieces),
        Route("/panel/a.html", page),
        Route("/config", numbers),
    ]
    return TestClient(Starlette(routes=routes, middleware=[Middleware(Guard)]))


@pytest.mark.parametrize("path", ["/", "/panel/pieces"])
@pytest.mark.parametrize("encoding", ["gzip", "gzip, deflate, br", "identity"])
def test_a_page_is_whole_and_as_small_as_the_browser_reads(
    client: TestClient, path: str, encoding: str
) -> None:
    answer = client.get(path, headers={"Accept-Encoding": encoding})
    assert answer.content == with_first_scripts(PAGE)
    zipped = "gzip" in encoding
    assert answer.headers.get("content-encoding") == ("gzip" if zipped else None)
    assert answer.headers.get("vary") == ("Accept-Encoding" if zipped else None)
    sent = int(answer.headers["content-length"])
    assert sent < 400 if zipped else sent == len(answer.content)


def test_only_scripts_that_stand_in_the_page_may_run(client: TestClient) -> None:
    policy = client.get("/").headers["content-security-policy"]
    digest = base64.b64encode(hashlib.sha256(SCRIPT).digest()).decode()
    assert policy.endswith(f"script-src 'self' 'unsafe-eval' 'sha256-{digest}'")


@pytest.mark.parametrize("path", ["/panel/a.html", "/config"])
def test_what_is_no_page_of_ours_is_not_compressed_here(client: TestClient, path: str) -> None:
    assert "content-encoding" not in client.get(path).headers


def test_a_closed_route_says_nothing(client: TestClient) -> None:
    assert client.get("/gradio_api/upload").status_code == 404
