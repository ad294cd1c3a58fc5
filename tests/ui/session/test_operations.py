"""/health and /metrics of a served page."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest
from gradio_client import Client

from gpt2.runtime.watchdog import Watchdog
from gpt2.ui import build_page
from tests.small import until
from tests.ui.conftest import served_page

DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@pytest.fixture
def url(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[str]:
    for name, value in getattr(request, "param", {}).items():
        monkeypatch.setenv(name, value)
    with served_page() as address:
        yield address


def get(url: str) -> tuple[int, bytes]:
    try:
        with DIRECT.open(url, timeout=20) as reply:
            return reply.status, reply.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def test_health_says_when_the_page_is_ready(url: str) -> None:
    assert until(lambda: get(url + "health")[0] == 200, 30)
    state = json.loads(get(url + "health")[1])
    assert state["status"] == "ready"
    assert 9e6 < state["loaded"]["tiny"] < 2e7
    assert state["requests"] == {"preparing": 0, "downloading": 0, "waiting": 0, "running": 0}
    assert get(url + "metrics")[0] == 404  # nobody asked for it


def test_health_says_when_a_pass_does_not_end(url: str) -> None:
    assert until(lambda: get(url + "health")[0] == 200, 30)
    now = [0.0]
    dog = Watchdog(lambda: now[0])
    dog.started()
    now[0] = 100
    status, body = get(url + "health")
    assert status == 503
    assert {"status": "stuck", "pass_seconds": 100}.items() <= json.loads(body).items()
    dog.finished()
    assert get(url + "health")[0] == 200


@pytest.mark.parametrize("url", [{"GPT2_METRICS": "1"}], indirect=True)
def test_metrics_count_what_the_public_call_wrote(url: str) -> None:
    client = Client(url, verbose=False, analytics_enabled=False)
    client.submit("Once", new_tokens=7, api_name="/generate").result(60)
    client.close()
    assert until(lambda: b'gpt2_tokens_total{size="tiny"} 7.0' in get(url + "metrics")[1])


def test_metrics_without_their_library_say_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GPT2_METRICS", "1")
    monkeypatch.setitem(__import__("sys").modules, "prometheus_client", None)
    with pytest.raises(ValueError, match="pip install prometheus-client"):
        build_page()
