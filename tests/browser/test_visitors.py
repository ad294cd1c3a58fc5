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


def test_leaving_or_reloading_frees_the_machine(visits: Callable[..., Visit], app: App) -> None:
    leaver, reloader, waiter = (visits(app.url) for _ in range(3))
    for visit in (leaver, reloader):
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

    # With the reloaded run still there, two more would have to wait for each other.
    assert reloader.state() == "running"
    reloader.page.reload()
    reloader.ready()
    other = visits(app.url)
    other.start(size="deep", new_tokens=1000, seed=1)
    reloader.choose(size="Tiny")
    expect(reloader.number("New tokens")).not_to_have_value("1000")  # it has the new range
    assert reloader.generate(new_tokens=20, seed=9) == text_of(9, 20)
    expect(reloader.note).to_have_text(re.compile("^Done"))
    assert other.state() == "running"
