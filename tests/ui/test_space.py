"""What a Space changes: nothing of the page, and who a caller is, since all come by a proxy."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from gradio_client import Client
from gradio_client.client import Job

from gpt2.ui import build_page
from tests.browser.server import serve
from tests.small import until


def test_the_page_is_the_same_on_a_space(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYSTEM", "spaces")
    monkeypatch.setenv("SPACE_ID", "somebody/gpt2")
    page = build_page()
    assert page.get_config_file()["space_id"] is None
    page.close()


@contextmanager
def caller(url: str, address: str) -> Iterator[Client]:
    """Somebody whose address the proxy says."""
    client = Client(url, verbose=False, headers={"X-Forwarded-For": address})
    yield client
    client.close()


def run(client: Client) -> Job:
    return client.submit("Once", "tiny", 0.8, 500, 0, 1.0, 1, api_name="/generate")


def test_callers_are_told_apart_behind_the_platform_s_proxy(tmp_path: Path) -> None:
    space = {"SYSTEM": "spaces", "SPACE_ID": "somebody/gpt2", "GPT2_PER_VISITOR": "1"}
    with (
        serve(tmp_path, **space) as app,
        caller(app.url, "192.0.2.1") as one,
        caller(app.url, "192.0.2.2") as two,
    ):
        first = run(one)
        assert until(lambda: bool(first.outputs()), 60)
        assert "You have 1 texts in line" in str(run(one).exception(60))
        assert run(two).result(60)
        first.cancel()
