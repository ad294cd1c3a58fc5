"""The page below a path of somebody's web server, which keeps the path or strips it."""

from __future__ import annotations

import json
import ssl
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from gradio_client import Client
from playwright.sync_api import Browser, expect

from tests.reverse_proxy import reverse_proxy

from .comparing import Comparing
from .reference import text_of
from .server import App, serve
from .test_save import opens_offline, saved
from .visit import Visit

pytestmark = pytest.mark.browser

PATH = "/models/gpt-2"


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    # Over TLS the proxy's word about it must be taken; it is on this computer, as in most places.
    with serve(tmp_path_factory.mktemp("app"), GRADIO_ROOT_PATH=PATH) as app:
        yield app


def get(url: str) -> bytes:
    unverified = ssl._create_unverified_context()
    with urllib.request.build_opener(
        urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=unverified)
    ).open(url, timeout=20) as reply:
        assert reply.url == url or reply.url == f"{url}/"
        body: bytes = reply.read()
        return body


@pytest.mark.parametrize(
    ("strips", "tls"),
    [
        pytest.param(True, False, id="strips", marks=pytest.mark.nightly),  # as "tls", without it
        pytest.param(False, False, id="keeps"),
        pytest.param(True, True, id="tls"),
    ],
)
def test_everything_works_below_a_path(
    strips: bool,
    tls: bool,
    app: App,
    visits: Callable[..., Visit],
    browser: Browser,
    tmp_path: Path,
) -> None:
    with reverse_proxy(app.url, PATH, strips=strips, tls=tls) as url:
        visit = visits(
            url, ignore_https_errors=True, permissions=["clipboard-read", "clipboard-write"]
        )
        asked: list[str] = []
        visit.page.on("request", lambda request: asked.append(request.url))
        failed: list[str] = []
        visit.page.on(
            "response", lambda r: failed.append(f"{r.status} {r.url}") if r.status >= 400 else None
        )
        visit.open()
        text = visit.generate(seed=11, new_tokens=30)
        assert text == text_of(11, 30)
        visit.layer.select_option("3")
        visit.head.select_option("2")
        visit.until("() => store.look.head === 2 && store.missing() === null")

        visit.attention.get_by_text("Save or share this map").click()
        opens_offline(browser, saved(visit, "Standalone HTML page", tmp_path), text)
        visit.button("copy link").click()
        expect(visit.attention.get_by_text("in the link itself")).to_be_visible()
        link = visit.page.evaluate("navigator.clipboard.readText()")
        assert link.startswith(url)

        compared = Comparing(visit)
        compared.choose("Tiny", "Mini", prompt="Once", new_tokens=8)
        compared.start()
        expect(compared.notes).to_have_text(["Done.", "Done."])

        visit.page.goto(link)
        visit.ready()
        expect(visit.text).to_contain_text(text.split("\n")[0][:60])

        assert json.loads(get(f"{url}health"))["status"] == "ready"
        get(url.rstrip("/"))  # without the slash: sent on, or served
        assert failed == []
        parts = urlsplit(url)
        for address in asked:
            if not address.startswith(("data:", "blob:")):
                assert address.startswith(f"{parts.scheme}://{parts.netloc}{PATH}/"), address


@pytest.mark.parametrize("strips", [True, False])
def test_programs_get_through_too(strips: bool, app: App) -> None:
    def written(url: str) -> str:
        client = Client(url, verbose=False, analytics_enabled=False)
        text = client.submit("Once", new_tokens=5, seed=3, api_name="/generate").result(60)
        client.close()
        return str(text)

    with reverse_proxy(app.url, PATH, strips=strips) as url:
        assert written(url) == written(app.url) != ""


def test_the_page_is_there_without_the_proxy_as_well(app: App) -> None:
    assert b"export" in get(f"{app.url}panel/runs.js")
    assert json.loads(get(f"{app.url}config"))["version"]
