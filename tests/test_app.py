"""python app.py: where it serves, through which proxies, and what it says when it cannot."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from gradio import http_server

from gpt2.ui import build_page, launch
from gpt2.ui.build import _bound_connections
from tests.browser.server import free_port, serve, start
from tests.serving.test_warm_up import has_ipv6
from tests.small import until

ROOT = Path(__file__).parent.parent
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
NOBODY = "http://127.0.0.1:9"  # the port of `discard`, where nobody listens


def status(url: str) -> str:
    try:
        with DIRECT.open(f"{url}health", timeout=5) as reply:
            return str(json.load(reply)["status"])
    except OSError:
        return ""


def told(**variables: str) -> str:
    """What app.py says and ends with, when it does not start."""
    done = subprocess.run(
        [sys.executable, "app.py"],
        cwd=ROOT, env={**os.environ, **variables}, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (2, "")
    return done.stderr


def test_its_own_address_goes_round_the_proxies_of_a_company(tmp_path: Path) -> None:
    proxies = {"HTTP_PROXY": NOBODY, "https_proxy": NOBODY, "ALL_PROXY": NOBODY}
    with serve(tmp_path, **proxies, NO_PROXY="[::1],fd00::/8,.corp") as app:
        assert until(lambda: status(app.url) == "ready", 30)


@pytest.mark.skipif(not has_ipv6(), reason="this computer has no IPv6")
@pytest.mark.parametrize("name", ["[::]", pytest.param("::1", marks=pytest.mark.nightly)])
def test_it_serves_ipv6(tmp_path: Path, name: str) -> None:
    port = free_port()
    with start(tmp_path, GRADIO_SERVER_NAME=name, GRADIO_SERVER_PORT=str(port)) as app:
        assert until(lambda: status(f"http://[::1]:{port}/") == "ready", 60), app.log.read_text()
        assert f"[{name.strip('[]')}]:{port}" in app.log.read_text()


def test_a_port_that_is_taken_is_said() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        assert told(GRADIO_SERVER_PORT=port) == (
            f"error: GRADIO_SERVER_PORT is {port}: another program serves there. End that one, or "
            "choose another port.\n"
        )


def test_all_that_is_wrong_is_said_at_once() -> None:
    said = told(
        GRADIO_SERVER_PORT="99999",
        GRADIO_SERVER_NAME="http://0.0.0.0",
        HF_ENDPOINT="huggingface.co",
        OMP_NUM_THREADS="many",
        ALL_PROXY="gopher://proxy",
    ).splitlines()
    assert {line.split()[1] for line in said} == {
        "GRADIO_SERVER_PORT", "GRADIO_SERVER_NAME", "HF_ENDPOINT", "OMP_NUM_THREADS", "ALL_PROXY",
    }  # fmt: skip
    assert all(line.startswith("error: ") and " must be " in line for line in said)


@pytest.mark.parametrize(
    "ends",
    [
        "<&- >&- 2>/dev/full",
        pytest.param("<&- >&- 2>&-", marks=pytest.mark.nightly),
        pytest.param(">/dev/full 2>/dev/full", marks=pytest.mark.nightly),
    ],
)
def test_it_serves_with_nowhere_to_write_to(ends: str, tmp_path: Path) -> None:
    port = free_port()
    environment = {
        **os.environ,
        "GRADIO_SERVER_PORT": str(port),
        "HF_HOME": str(tmp_path),
        "OMP_NUM_THREADS": "1",
    }
    with subprocess.Popen(
        ["bash", "-c", f'exec "$0" app.py {ends}', sys.executable],
        cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as app:  # fmt: skip
        try:
            assert until(lambda: status(f"http://127.0.0.1:{port}/") == "ready", 60)
        finally:
            app.send_signal(signal.SIGTERM)


class ForwardProxy(BaseHTTPRequestHandler):
    """Notes what is asked for; has nothing."""

    asked: list[str]

    def do_GET(self) -> None:
        self.asked.append(self.path)
        self.send_error(404)

    do_HEAD = do_GET

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def proxy() -> Iterator[tuple[str, list[str]]]:
    """Its address, and what it was asked for."""
    asked: list[str] = []
    handler = type("Handler", (ForwardProxy,), {"asked": asked})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}", asked
        server.shutdown()
        thread.join()


def test_downloads_go_through_the_proxy(proxy: tuple[str, list[str]], tmp_path: Path) -> None:
    address, asked = proxy
    environment = {k: v for k, v in os.environ.items() if not k.upper().endswith("_PROXY")}
    done = subprocess.run(
        [sys.executable, "-m", "gpt2", "download", "--size", "owner/model"],
        cwd=ROOT,
        env={
            **environment,
            "HF_ENDPOINT": "http://hub.example",
            "HF_HOME": str(tmp_path),
            "HTTP_PROXY": address,
            "NO_PROXY": "[::1]",
        },
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("error: ")
    assert any(url.startswith("http://hub.example/owner/model/") for url in asked)


def test_a_port_that_is_taken_at_the_last_moment_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """Gradio's own look at it leaves a socket open, so what it raises stands in for it."""

    def taken(*_: object, **__: object) -> None:
        raise OSError("Cannot find empty port in range: 7860-7860. You can specify another.")

    monkeypatch.setattr("gradio.Blocks.launch", taken)
    page = build_page()
    with pytest.raises(ValueError, match=r"^Port 7860 has been taken by another program"):
        launch(page, server_port=7860)
    page.close()


@pytest.mark.parametrize("number", ["many", "", "4"])
def test_a_platform_s_number_of_processes_changes_nothing(
    number: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WEB_CONCURRENCY", number)
    monkeypatch.setattr(http_server, "uvicorn", http_server.uvicorn)  # as it was afterwards
    _bound_connections()
    assert http_server.uvicorn.Config(build_page).workers == 1
