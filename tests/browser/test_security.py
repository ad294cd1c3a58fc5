"""What a model writes is only text, the page obeys its policy, and no answer tells too much."""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from gradio_client import Client
from playwright.sync_api import Browser, Dialog, expect

from gpt2.serving.incoming import readable
from tests.chromium import would_have_run
from tests.hostile import HOSTILE, write_parrot

from .server import App, serve
from .test_save import saved
from .visit import TOO_LONG, Visit

pytestmark = pytest.mark.browser

PROMPT = "It says: "
ORDERS = HOSTILE[:8]  # those that a page could run; together they fit the small context


def test_what_a_model_writes_is_only_text(visits: Callable[..., Visit], tmp_path: Path) -> None:
    says = "\n".join(ORDERS[:5])
    write_parrot(tmp_path / "parrot", PROMPT, says)
    with serve(tmp_path, GPT2_MODEL=str(tmp_path / "parrot")) as app:
        visit = visits(app.url)
        wish = {"size": "parrot", "temperature": 0, "new_tokens": 240}
        assert visit.generate(prompt=PROMPT, **wish).startswith(PROMPT + says)
        for query in range(visit.rows()):
            visit.page.evaluate("(query) => store.select({ query, key: 0 })", query)
        visit.nothing_ran()
        visit.page.reload()
        visit.ready()
        visit.until("() => store.run?.status")
        assert visit.written().startswith(PROMPT + says)
        visit.nothing_ran()
        client = Client(app.url, verbose=False, analytics_enabled=False)
        job = client.submit(PROMPT, "parrot", 0, 240, api_name="/generate")
        assert job.result(60) == says


def test_what_is_taken_along_is_only_text(visit: Visit, browser: Browser, tmp_path: Path) -> None:
    prompt = "\n".join(ORDERS)
    visit.generate(prompt=prompt, new_tokens=3, seed=1)
    visit.attention.get_by_text("Save or share this map").click()
    dialogs: list[Dialog] = []
    for name in ("SVG", "Standalone HTML page"):
        file = saved(visit, name, tmp_path)
        with browser.new_context(offline=True) as context:
            page = context.new_page()
            page.on("dialog", lambda dialog: dialogs.append(dialog))
            page.goto(file.as_uri())
            if name != "SVG":
                expect(page.get_by_role("region", name="Output")).to_contain_text("onerror")
                assert page.locator("main script, main [onload], iframe").count() == 0
                # The heading links home; nothing that was written links anywhere.
                expect(page.locator("a")).to_have_attribute("href", visit.url)
            would_have_run(page)
            assert page.evaluate("document.body?.getAttribute('x') ?? null") is None
            assert page.locator("img, image[href='x'], foreignObject, svg script").count() == 0
    assert dialogs == []


def test_what_is_kept_in_the_tab_is_only_text(visit: Visit) -> None:
    text = "\n".join(ORDERS[:5])
    tokens = [{"hex": f"{byte:02x}"} for byte in text.encode()]
    kept = {"size": "tiny", "prompt": 1, "state": text, "seed": "1", "tokens": tokens}
    controls = ["\n".join(HOSTILE), "tiny", 0.8, 20, 0, 1, ""]
    visit.page.evaluate(
        """([text, controls]) => {
          window.onpagehide = () => {
            sessionStorage.setItem("gpt2 text", text);
            sessionStorage.setItem("gpt2 controls", controls);
          };
        }""",
        [json.dumps(kept), json.dumps(controls)],
    )
    visit.page.reload()
    visit.ready(TOO_LONG)
    visit.until("() => store.run?.status")
    assert visit.written() == text
    expect(visit.prompt).to_have_value(readable("\n".join(HOSTILE)))
    visit.nothing_ran()


def test_markup_that_got_in_would_not_run(visits: Callable[..., Visit], app: App) -> None:
    visit = visits(app.url)
    visit.page.evaluate(
        """() => {
          document.body.insertAdjacentHTML("beforeend",
            `<img src="none.png" onerror="document.body.setAttribute('x', '1')">`);
          const script = document.createElement("script");
          script.textContent = "document.body.setAttribute('x', '1')";
          document.body.append(script);
        }"""
    )
    would_have_run(visit.page)
    assert visit.page.evaluate("document.body.getAttribute('x')") is None
    assert len(visit.errors) == 2
    assert all("Content Security Policy" in error for error in visit.errors)
    visit.errors.clear()


@pytest.mark.parametrize("path", ["/", "/config", "/panel/runs.js", "/none", "/gradio_api/info"])
def test_every_answer_carries_the_headers(app: App, path: str) -> None:
    status, headers, _ = ask(app, "GET", path)
    assert status == (404 if path == "/none" else 200)
    policy = headers["content-security-policy"]
    assert "frame-ancestors 'self' https://huggingface.co https://*.hf.space" in policy
    assert "script-src 'self' 'unsafe-eval'" in policy
    assert "unsafe-inline" not in policy.split("script-src")[1]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"
    assert "x-frame-options" not in headers


def ask(
    app: App, method: str, path: str, body: bytes | None = None, **headers: str
) -> tuple[int, dict[str, str], bytes]:
    """The path as it stands: other clients would tidy it up first."""
    address = urlsplit(app.url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=30)
    connection.request(method, path, body, {k.replace("_", "-"): v for k, v in headers.items()})
    answer = connection.getresponse()
    found = {name.lower(): value for name, value in answer.getheaders()}
    result = answer.status, found, answer.read()
    connection.close()
    return result


# Each was a hole of some Gradio once, or would be one if a route took it.
@pytest.mark.parametrize(
    "path",
    [
        "/gradio_api/file=/etc/passwd",
        "/gradio_api/file=app.py",
        "/file=app.py",
        "/gradio_api/file=../../../../etc/passwd",
        "/gradio_api/file=http://127.0.0.1:1/",
        "/gradio_api/proxy=http://127.0.0.1:1/",
        "/gradio_api/proxy=https://x.hf.space/",
        "/gradio_api/custom_component/x/client/../../app.py",
        "/gradio_api/stream/x/y/z/playlist.m3u8",
        "/gradio_api/upload_progress?upload_id=x",
        "/gradio_api/deep_link?session_hash=x",
        "/gradio_api/runs",
        "/gradio_api/run-history/records",
        "/gradio_api/dev/reload",
        "/monitoring/summary",
        "/static/../../../../../../../etc/passwd",
        "/static/..%2f..%2f..%2f..%2f..%2f..%2fetc%2fpasswd",
        "/static//etc/passwd",
        "/assets/%2e%2e/%2e%2e/%2e%2e/routes.py",
        "/assets/..%5c..%5croutes.py",
        "/assets/....//....//routes.py",
        "/panel/../../app.py",
        "/svelte/../../../routes.py",
        "/pwa_icon/../../../etc/passwd",
        "/app.py",
        "/.git/config",
        "/assets/vocab.bpe",
        "/assets/tiny/config.json",
    ],
)
def test_no_file_can_be_fetched(app: App, path: str) -> None:
    status, _, body = ask(app, "GET", path)
    assert status in (400, 403, 404, 405)
    assert len(body) < 500
    assert b"root:" not in body and b"import" not in body


JUNK = (b"", b"{", b"[]", b"null", b'"x"', b"{}", b"\xff\xfe\x00", b"[" * 5000, b'{"data":' * 2000)


@pytest.mark.parametrize(
    "path",
    [
        "/gradio_api/queue/join",
        "/gradio_api/component_server",
        "/gradio_api/call/generate",
        "/gradio_api/run/generate",
        "/gradio_api/api/none",
        "/gradio_api/cancel",
        "/gradio_api/reset",
    ],
)
def test_junk_gets_no_stack_trace(app: App, path: str) -> None:
    for junk in JUNK:
        status, _, body = ask(app, "POST", path, junk, Content_Type="application/json")
        assert 200 <= status <= 500
        assert b"Traceback" not in body and b"site-packages" not in body and b".py" not in body
    assert ask(app, "GET", "/config")[0] == 200


def test_what_is_too_much_is_not_read(app: App) -> None:
    join = "/gradio_api/queue/join"
    assert ask(app, "POST", join, b"x", Content_Length="4000001")[0] == 413
    assert ask(app, "POST", join, b"x", Content_Type="multipart/form-data; boundary=x")[0] == 415
    assert ask(app, "POST", "/gradio_api/upload", b"x")[0] == 404
