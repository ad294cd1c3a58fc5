"""Nothing leaves this computer, neither from the browser nor from the server."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from .server import App, serve
from .visit import Visit

pytestmark = pytest.mark.browser

# Runs app.py as `python app.py` does, noting every host that Python looks up or connects to.
RECORDER = """
import runpy, sys
def note(event, arguments):
    if event in ("socket.getaddrinfo", "socket.gethostbyname"):
        host = arguments[0]
    elif event in ("socket.connect", "socket.sendto") and isinstance(arguments[1], tuple):
        host = arguments[1][0]
    else:
        return
    with open(file_of_hosts, "a") as file:
        print(event, host, file=file)
file_of_hosts = sys.argv.pop()
sys.addaudithook(note)
sys.path.insert(0, ".")
runpy.run_path("app.py", run_name="__main__")
"""
LOOPBACK = {"127.0.0.1", "::1", "localhost", "0.0.0.0", "::", "None"}


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("offline") / "hosts"


@pytest.fixture(scope="module")
def app(hosts: Path) -> Iterator[App]:
    with serve(hosts.parent, ("-c", RECORDER, str(hosts))) as app:
        yield app


def test_only_this_computer_is_asked(visits: Callable[..., Visit], app: App, hosts: Path) -> None:
    visit = visits(app.url)
    visit.generate(new_tokens=20)
    visit.size.click()
    visit.page.keyboard.press("Escape")
    assert visit.hosts == {"127.0.0.1"}
    noted = [line.split(maxsplit=1) for line in hosts.read_text().splitlines()]
    assert noted, "the recorder saw nothing, not even Gradio asking itself"
    assert {host.strip() for _, host in noted} <= LOOPBACK
    assert visit.page.evaluate("JSON.stringify(localStorage)").count("little fox") == 0


@pytest.mark.parametrize("path", ["monitoring", "monitoring/summary", "gradio_api/monitoring"])
def test_visitors_are_not_monitored(app: App, path: str) -> None:
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with pytest.raises(urllib.error.HTTPError) as refused:
        direct.open(app.url + path, timeout=20)
    refused.value.close()
    assert refused.value.code in (401, 403, 404)
    with direct.open(app.url + "config", timeout=20) as reply:
        assert not json.load(reply).get("run_history")
