"""A page of another origin shows this one in a frame, where the owner allows it."""

from __future__ import annotations

import functools
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from .server import serve
from .visit import Visit

pytestmark = pytest.mark.browser


@pytest.fixture
def school(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A page of somebody else: its origin, and the folder that it is served from."""
    folder = tmp_path / "school"
    folder.mkdir()

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args: object) -> None:
            """Say nothing."""

    handler = functools.partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}", folder
        server.shutdown()


def test_the_copied_code_shows_the_same_picture_elsewhere(
    browser: Browser, school: tuple[str, Path], tmp_path: Path
) -> None:
    origin, folder = school
    with serve(tmp_path, GPT2_FRAMED_BY=origin) as app:
        visit = Visit(browser, app.url, permissions=["clipboard-read", "clipboard-write"])
        visit.generate(seed=1, new_tokens=10)
        visit.attention.get_by_text("Save or share this map").click()
        visit.button("copy embed code").click()
        expect(visit.attention.get_by_text("Copied: paste it into a page")).to_be_visible()
        code = visit.page.evaluate("navigator.clipboard.readText()")
        text = visit.written()
        visit.close()
        (folder / "index.html").write_text(f"<!doctype html><title>Lesson</title>{code}")
        context = browser.new_context()
        page = context.new_page()
        page.goto(origin)
        framed = page.frame_locator("iframe").get_by_role("group", name="Text, token by token")
        expect(framed).to_contain_text(text[-20:].split("\n")[-1].strip())
        context.close()


def test_other_pages_may_not_show_it(
    visit: Visit, browser: Browser, school: tuple[str, Path]
) -> None:
    origin, folder = school
    (folder / "index.html").write_text(f'<!doctype html><iframe src="{visit.url}"></iframe>')
    context = browser.new_context()
    page = context.new_page()
    with page.expect_console_message(lambda message: "frame-ancestors" in message.text):
        page.goto(origin)
    expect(page.frame_locator("iframe").get_by_role("heading", level=1)).to_have_count(0)
    context.close()
