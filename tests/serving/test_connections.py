"""Connections that ask for nothing, ask slowly or take nothing end; newcomers are served."""

from __future__ import annotations

import logging
import socket
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from gpt2.serving import connections
from gpt2.serving.connections import Connection, most_connections
from tests.browser.server import free_port, serve
from tests.small import until

DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
HELLO = b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n"


async def app(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] != "http":
        return
    if scope["path"] != "/at-once":
        await receive()
    if scope["path"] == "/stream":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while True:
            await send({"type": "http.response.body", "body": b"more", "more_body": True})
            if (await receive())["type"] == "http.disconnect":
                return
    body = b"hello" if scope["path"] == "/hello" else bytes(50_000_000)
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": 200, "headers": [length]})
    await send({"type": "http.response.body", "body": body})
    if scope["path"] != "/hello":
        await send({"type": "http.response.body"})


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    monkeypatch.setattr(Connection, "_said", -100.0)
    port = free_port()
    config = uvicorn.Config(app, port=port, log_level="error", http=Connection, lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    assert until(lambda: server.started)
    yield port
    server.should_exit = True
    thread.join(10)


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=20)


def says_hello(sock: socket.socket) -> bool:
    sock.sendall(HELLO)
    said = b""
    while piece := sock.recv(1000):
        said += piece
        if said.endswith(b"hello"):
            return True
    return False


def is_over(sock: socket.socket) -> bool:
    """Waits until the other side has closed it."""
    try:
        return sock.recv(1) == b""
    except ConnectionResetError:
        return True


@pytest.mark.parametrize("sent", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: x\r\n"])
def test_headers_are_due(port: int, sent: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "SECONDS_FOR_HEADERS", 0.3)
    with connect(port) as slow:
        slow.sendall(sent)
        assert is_over(slow)


def test_headers_that_drip_are_due_on_a_used_connection_too(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "SECONDS_FOR_HEADERS", 0.3)
    with connect(port) as sock:
        for _ in range(2):
            assert says_hello(sock)
        began = time.monotonic()
        sock.sendall(HELLO[:9])
        assert is_over(sock)
        assert time.monotonic() - began < 3  # uvicorn's own five seconds are for silence


def test_an_answer_is_not_cut_off_by_the_time_for_headers(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "SECONDS_FOR_HEADERS", 0.05)
    with DIRECT.open(f"http://127.0.0.1:{port}/large", timeout=20) as reply:
        total = 0
        while piece := reply.read(5_000_000):
            total += len(piece)
            threading.Event().wait(0.03)  # a slow reader, but one who reads
    assert total == 50_000_000


def test_who_takes_nothing_is_let_go(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "SECONDS_FOR_READING", 0.3)
    with connect(port) as sock:
        sock.sendall(HELLO.replace(b"hello", b"large"))
        ended = time.monotonic() + 10
        total = 0
        assert until(lambda: bool(sock.recv(1, socket.MSG_PEEK)))
        threading.Event().wait(0.6)
        while time.monotonic() < ended:
            try:
                piece = sock.recv(1_000_000)
            except ConnectionResetError:
                break
            if not piece:
                break
            total += len(piece)
    assert total < 50_000_000


def test_newcomers_take_the_place_of_who_asks_for_nothing(
    port: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(Connection, "most", 20)
    with ExitStack() as opened:
        idle = [opened.enter_context(connect(port)) for _ in range(40)]
        for _ in range(10):
            with connect(port) as sock:
                assert says_hello(sock)
        assert all(is_over(sock) for sock in idle[:20])
    said = [record.getMessage() for record in caplog.records if record.name.startswith("gpt2")]
    assert said == [
        "20 connections are open, as many as this process may hold: the longest idle are closed"
    ]


def test_the_bound_is_below_the_file_limit() -> None:
    import resource

    most = most_connections()
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert 16 <= most <= connections.MOST
    assert soft == resource.RLIM_INFINITY or soft - most >= connections._OTHER_FILES


LIMITED = """import resource, runpy
resource.setrlimit(resource.RLIMIT_NOFILE, (512, 512))
runpy.run_path("app.py", run_name="__main__")
"""


def test_idle_connections_stop_nobody(tmp_path: Path) -> None:
    with serve(tmp_path, command=("-c", LIMITED)) as app, ExitStack() as opened:
        port = int(app.url.rsplit(":", 1)[1].strip("/"))
        for _ in range(700):
            opened.enter_context(connect(port))
        for path in ("config", "panel/runs.js", ""):
            with DIRECT.open(app.url + path, timeout=10) as reply:
                assert reply.status == 200
        log = app.log.read_text()
    assert log.count("connections are open, as many as this process may hold") == 1
    assert "Traceback" not in log
    assert "out of system resource" not in log


def test_visitors_who_leave_at_once_cost_nothing(tmp_path: Path) -> None:
    with serve(tmp_path) as app:
        port = int(app.url.rsplit(":", 1)[1].strip("/"))
        with DIRECT.open(app.url, timeout=20):
            pass
        began = time.monotonic()
        for _ in range(200):
            with connect(port) as sock:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
                sock.sendall(HELLO.replace(b"hello", b""))
        with DIRECT.open(app.url + "panel/runs.js", timeout=20) as reply:
            assert reply.status == 200
        assert time.monotonic() - began < 2


@pytest.mark.parametrize("when", ["before", "meanwhile"])
def test_what_is_no_http_is_told_once_and_is_no_fault(
    port: int, when: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the middle of a request, before or while somebody answers it."""
    monkeypatch.setattr(logging.getLogger("uvicorn"), "propagate", True)
    path = "/at-once" if when == "before" else "/stream"
    begins = f"POST {path} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    said = b""
    with connect(port) as sock:
        if when == "before":
            sock.sendall(begins + b"zz\r\n")
        else:
            sock.sendall(begins + b"1\r\na\r\n")
            said = sock.recv(1000)
            sock.sendall(b"zz\r\n")
        with suppress(ConnectionError):
            while piece := sock.recv(10**6):
                said += piece
    assert said.startswith(b"HTTP/1.1 400 " if when == "before" else b"HTTP/1.1 200 ")
    assert said.count(b"HTTP/1.1") == 1
    with connect(port) as sock:
        assert says_hello(sock)
    assert not [each for each in caplog.records if each.levelname == "ERROR"]
