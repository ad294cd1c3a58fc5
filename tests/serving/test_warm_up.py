"""The page before the page: there at once, says what is going on, and makes way."""

from __future__ import annotations

import errno
import json
import re
import socket
import struct
import urllib.error
import urllib.request
from collections.abc import Iterator
from email.message import Message

import pytest
from gradio_client import Client

from gpt2.runtime.settings import SettingError
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


def test_a_taken_port_is_told_and_the_one_who_has_it_goes_on(warm_up: WarmUp, port: int) -> None:
    with pytest.raises(SettingError, match=f"^GRADIO_SERVER_PORT is {port}: another program"):
        WarmUp()
    assert get(port, "/")[0] == 200


def test_without_a_port_the_first_free_one_is_taken(
    warm_up: WarmUp, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GRADIO_SERVER_PORT")
    monkeypatch.setattr("gpt2.serving.warm_up._PORTS_TRIED", (port, free_port()))
    second = WarmUp()
    assert second.port != warm_up.port == port
    with pytest.raises(SettingError, match="GRADIO_SERVER_PORT is not set, and from 7860 on all"):
        WarmUp()
    second.close()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("192.0.2.1", "must be an address of this computer, not '192.0.2.1'"),
        ("nowhere.invalid", "must be an address of this computer, not 'nowhere.invalid'"),
        ("[::1]:80", "must be a host name or an address"),
    ],
)
def test_a_name_that_is_not_here_is_told(
    port: int, name: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRADIO_SERVER_NAME", name)
    with pytest.raises(SettingError, match=f"^GRADIO_SERVER_NAME {re.escape(words)}"):
        WarmUp()


@pytest.mark.parametrize("name", ["::1", "[::1]", "::", "[::]"])
def test_it_serves_ipv6(port: int, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if not has_ipv6():
        pytest.skip("this computer has no IPv6")
    monkeypatch.setenv("GRADIO_SERVER_NAME", name)
    warm_up = WarmUp()
    with DIRECT.open(f"http://[::1]:{port}/", timeout=5) as answer:
        assert answer.status == 200
    warm_up.close()
    assert warm_up.host == f"[{name.strip('[]')}]"


def has_ipv6() -> bool:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


def test_below_a_path_it_answers_whether_or_not_the_proxy_keeps_the_path(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRADIO_ROOT_PATH", "https://example.org/x/y/")
    warm_up = WarmUp()
    for path in ("/", "/x/y/", "/x/y/?__theme=dark", "/x/y"):  # the last is sent on
        status, _, page = get(port, path)
        assert (status, b"The page is waking up" in page) == (200, True), path
    for path in ("/health", "/x/y/health", "/x/y/config"):
        status, headers, said = get(port, path)
        assert (status, headers["Retry-After"]) == (503, "2")
        assert json.loads(said)["status"] == "starting"
    warm_up.close()


def test_who_leaves_before_the_answer_is_nothing_to_tell_of(
    warm_up: WarmUp, port: int, capfd: pytest.CaptureFixture[str]
) -> None:
    for _ in range(20):
        with socket.create_connection(("127.0.0.1", port)) as leaving:
            # A reset, as from a browser that is closed.
            leaving.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            leaving.sendall(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n")
    with socket.create_connection(("127.0.0.1", port)) as leaving:
        leaving.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        leaving.sendall(b"GET /")
    assert get(port, "/")[0] == 200
    warm_up.close()
    assert capfd.readouterr() == ("", "")


def test_gradio_client_is_told_to_come_again(warm_up: WarmUp, port: int) -> None:
    """It takes what answers /config with an error for an old Gradio; the status says what it is."""
    status, headers, _ = get(port, "/config")
    assert (status, headers["Retry-After"]) == (503, "2")
    with pytest.raises(ValueError, match="config"):
        Client(f"http://127.0.0.1:{port}", verbose=False, analytics_enabled=False)


def test_a_port_that_only_root_may_use_is_told(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("gpt2.serving.warm_up._Server", refused)
    monkeypatch.setenv("GRADIO_SERVER_PORT", "80")
    with pytest.raises(SettingError, match=r"^GRADIO_SERVER_PORT is 80, which this user may not"):
        WarmUp()
