"""The page, served in this process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from gpt2.ui import build_page, launch
from tests.browser.server import free_port


@contextmanager
def served_page() -> Iterator[str]:
    """Its address, as long as it is served."""
    page = build_page()
    # A port of our own: where others are taken, Gradio's search leaves sockets open.
    where = {"server_name": "127.0.0.1", "server_port": free_port()}
    _, address, _ = launch(page, prevent_thread_lock=True, quiet=True, **where)
    yield address
    page.close()


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with served_page() as address:
        yield address
