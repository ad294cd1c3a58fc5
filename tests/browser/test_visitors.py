"""Several open pages: each its own text, a line when the machine is full, no run left behind."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from .reference import text_of
from .server import App
from .visit import Visit

pytestmark = pytest.mark.browser


def test_two_at_once_get_the_texts_they_get_alone(visits: Callable[..., Visit], app: App) -> None:
    one, two = visits(app.url), visits(app.url)
    for visit, seed in ((one, 31), (two, 32)):
        visit.choose(new_tokens=200, seed=seed)
    one.button("Generate").click()
    two.button("Generate").click()
    for visit, seed in ((one, 31), (two, 32)):
        visit.until("() => store.run?.status")
        assert visit.finished() == text_of(seed, 200)
        assert visit.rows() == visit.tokens() - 1


def test_leaving_frees_the_machine(visits: Callable[..., Visit], app: App) -> None:
    leaver, other, waiter = (visits(app.url) for _ in range(3))
    for visit in (leaver, other):
        visit.start(size="deep", new_tokens=1000, seed=1)
    waiter.choose(new_tokens=20, seed=8)
    waiter.button("Generate").click()
    expect(waiter.note).to_contain_text("Waiting in line: one run is ahead of yours.")
    expect(waiter.note).to_contain_text(re.compile("Your turn in about \\d+ (seconds|minutes)\\."))
    expect(waiter.status).to_have_text("Tiny · waiting in line")
    waiter.screenshot("waiting")
    assert leaver.state() == "running"
    leaver.close()
    waiter.until("() => store.run?.status")
    assert waiter.finished() == text_of(8, 20)
