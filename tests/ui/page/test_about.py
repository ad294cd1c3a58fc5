"""The line at the foot of the page, and what it links to."""

from __future__ import annotations

import re

import pytest
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.testclient import TestClient

from gpt2.ui.page.about import about_line, about_routes
from gpt2.ui.session.guard import check_request


def test_what_it_links_to_is_served(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SPACE_ID", raising=False)
    own = [to for to in re.findall(r'href="([^"]+)"', about_line()) if "://" not in to]
    assert own == ["about/readme", "about/tiny", "about/mini", "about/licence"]
    client = TestClient(Starlette(routes=about_routes()))
    for to in own:
        check_request("GET", f"/{to}", Headers())
        answer = client.get(f"/{to}")
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/plain")
    assert "MIT License" in client.get("/about/licence").text
    assert client.get("/about/../app.py").status_code == 404
    assert client.get("/about/pyproject").status_code == 404


def test_a_space_shows_its_own_source() -> None:
    assert 'href="https://huggingface.co/spaces/me/gpt2/tree/main"' in about_line("me/gpt2")
