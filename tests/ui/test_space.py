"""What a Space changes: nothing of the page, and who a caller is, since all come by a proxy."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gradio
import pytest
import yaml
from gradio_client import Client
from gradio_client.client import Job

from gpt2.config import SIZES
from gpt2.ui import build_page
from tests.browser.server import serve
from tests.small import until

ROOT = Path(__file__).parents[2]
COLOURS = {"red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray"}


def front_matter() -> dict[str, Any]:
    _, front, _ = (ROOT / "README.md").read_text("utf-8").split("---\n", 2)
    found: dict[str, Any] = yaml.safe_load(front)
    return found


def test_the_readme_says_all_that_a_space_asks() -> None:
    """https://huggingface.co/docs/hub/spaces-config-reference"""
    front = front_matter()
    assert front["sdk"] == "gradio"
    assert front["sdk_version"] == gradio.__version__, "tested with another Gradio"
    assert front["python_version"] in ("3.10", "3.12"), "ZeroGPU has no other"
    assert (ROOT / front["app_file"]).is_file()
    assert {front["colorFrom"], front["colorTo"]} <= COLOURS
    assert len(front["title"]) > 0 and len(front["emoji"]) == 1
    assert 0 < len(front["short_description"]) <= 60
    assert front["license"] == "mit" and (ROOT / "LICENSE").is_file()
    assert set(front["models"]) == {size.repo for size in SIZES.values() if size.repo}
    assert front["header"] == "mini", "the page has a head of its own"
    assert front["tags"] and front["preload_from_hub"] and front["startup_duration_timeout"]


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
