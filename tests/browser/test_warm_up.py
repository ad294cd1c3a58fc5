"""Who comes before the page is there sees that it is waking up, and then the page itself."""

from __future__ import annotations

import socket
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, expect

from tests.small import until

from .server import start
from .visit import PATIENCE

pytestmark = pytest.mark.browser


def answers(url: str) -> bool:
    address = urlsplit(url)
    with socket.socket() as probe:
        return probe.connect_ex((address.hostname, address.port)) == 0


def test_who_comes_too_early_gets_the_page_by_itself(browser: Browser, tmp_path: Path) -> None:
    with start(tmp_path) as app, browser.new_context() as context:
        assert until(lambda: answers(app.url), 20)
        page = context.new_page()
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(app.url + "?__theme=dark")
        expect(page.get_by_text("The page is waking up.")).to_be_visible()
        expect(page.get_by_role("status")).to_have_text("Importing PyTorch and Gradio")
        expect(page.get_by_role("button", name="Generate", exact=True)).to_be_visible(
            timeout=PATIENCE
        )
        assert page.url == app.url + "?__theme=dark"  # a link to a text, say, is not lost
        assert errors == []
