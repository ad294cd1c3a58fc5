"""The page before the page: there at once, says what is going on, and makes way."""

from __future__ import annotations

import json
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from email.message import Message

import pytest

from gpt2.serving.warm_up import WarmUp
from tests.browser.server import free_port

DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> int:
    port = free_port()
    monkeypatch.setenv("GRADIO_SERVER_NAME", "127.0.0.1")
    monkeypatch.setenv("GRADIO_SERVER_PORT", str(port))
    return port


@pytest.fixture
def warm_up(port: int) -> Iterator[WarmUp]:
    warm_up = WarmUp()
    yield warm_up
    warm_up.close()


def get(port: int, path: str) -> tuple[int, Message, bytes]:
    try:
        with DIRECT.open(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers, error.read()


def test_it_shows_a_page_and_says_how_far_it_is(warm_up: WarmUp, port: int) -> None:
    status, headers, page = get(port, "/?__theme=dark")
    assert status == 200
    assert b"The page is waking up" in page
    assert headers["Cache-Control"] == "no-store"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "same-origin"
    assert "Python" not in headers["Server"]
    assert "frame-ancestors 'self' https://huggingface.co" in headers["Content-Security-Policy"]
    warm_up.stage = "Building the page"
    status, _, said = get(port, "/health")
    state = json.loads(said)
    assert (status, state["status"], state["stage"]) == (503, "starting", "Building the page")
    assert 0 <= state["seconds"] < 60


@pytest.mark.parametrize("path", ["/config", "/app.py", "/../app.py", "/panel/runs.js", "//etc/x"])
def test_it_has_nothing_else(warm_up: WarmUp, port: int, path: str) -> None:
    status, headers, said = get(port, path)
    assert status == 503
    assert headers["Retry-After"] == "2"
    assert json.loads(said)["status"] == "starting"


def test_it_gives_the_address_up_also_while_somebody_holds_a_line(port: int) -> None:
    warm_up = WarmUp()
    with socket.create_connection(("127.0.0.1", port)):  # and says nothing
        warm_up.close()
        with socket.socket() as next_one:
            next_one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            next_one.bind(("127.0.0.1", port))


def test_a_taken_or_wrong_address_is_left_to_gradio(
    warm_up: WarmUp, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    WarmUp().close()  # the first one goes on
    assert get(port, "/")[0] == 200
    monkeypatch.setenv("GRADIO_SERVER_PORT", "many")
    WarmUp().close()
