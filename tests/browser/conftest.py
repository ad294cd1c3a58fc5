"""The served page, and visits to it. Any error, dialog or outside request fails a visit's test."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from gpt2.config import GPT2Config
from tests.hub_standin import write_gpt2_folder

from .paced import paced
from .server import App, serve
from .visit import Visit

# Deep, and paced where it is served: its runs take longer than any test looks at them.
DEEP = GPT2Config(
    vocab_size=8192,
    embedding_dimension=64,
    num_heads=2,
    hidden_dimension=32,
    num_blocks=64,
    max_seq_len=1024,
)


SLOWLY = paced(0.01, DEEP.num_blocks)  # for `serve`


@pytest.fixture(scope="session")
def deep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the slow model, as **Model size** shows it."""
    folder = tmp_path_factory.mktemp("models") / "deep"
    write_gpt2_folder(folder, DEEP)
    return folder


@pytest.fixture(scope="session")
def app(tmp_path_factory: pytest.TempPathFactory, deep: Path) -> Iterator[App]:
    if rehearsed := os.environ.get("GPT2_TEST_URL"):  # .ci/rehearse has started it already
        yield App(rehearsed, Path(os.devnull), None)
        return
    settings = {"GPT2_MODEL": str(deep), "GPT2_RUNNING": "2"}
    with serve(tmp_path_factory.mktemp("app"), SLOWLY, **settings) as app:
        yield app


@pytest.fixture(scope="session")
def mini(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    """As it is offline: the page begins with Mini."""
    with serve(tmp_path_factory.mktemp("mini"), GPT2_DEFAULT_SIZE="mini") as app:
        yield app


@pytest.fixture
def visits(browser: Browser) -> Iterator[Callable[..., Visit]]:
    """Open pages: `visits(url)`, or with more arguments of a browser context."""
    opened: list[Visit] = []

    def open_page(url: str, **context: Any) -> Visit:
        opened.append(Visit(browser, url, **context))
        return opened[-1]

    yield open_page
    for visit in opened:
        visit.close()
    for visit in opened:
        visit.check()


@pytest.fixture(scope="session")
def shared_tab(browser: Browser, app: App) -> Iterator[Visit]:
    """One that many come in after each other: a page opens there in a third of the time."""
    visit = Visit(browser, app.url)
    yield visit
    visit.close()


@pytest.fixture
def visit(shared_tab: Visit) -> Iterator[Visit]:
    """A desktop visitor who has just arrived."""
    shared_tab.renew()
    yield shared_tab
    shared_tab.leave()
    shared_tab.check()
