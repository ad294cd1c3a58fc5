"""Slowly and one token a click: the same text, and nobody is kept waiting for it."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest
from playwright.sync_api import expect

from tests.chromium import drawn

from .reference import text_of
from .server import App
from .visit import Visit

pytestmark = pytest.mark.browser

WHOLE = "(n) => store.run?.status?.n === n && !store.running && !store.pacing"


def pace(visit: Visit, name: str) -> None:
    visit.page.get_by_role("combobox", name="Pace").select_option(name)


def prompt_tokens(visit: Visit) -> int:
    return int(visit.page.evaluate("store.run.status.prompt"))


def test_a_slow_text_is_the_same_text(visit: Visit) -> None:
    pace(visit, "slow")
    visit.start(seed=11, new_tokens=5)
    steps = visit.page.evaluate(
        """() => new Promise((done) => {
          const seen = [];
          store.subscribe(() => {
            const { n } = store.run.status;
            if (seen.at(-1)?.[0] !== n) seen.push([n, performance.now()]);
            if (n === store.run.status.prompt + 5) done(seen);
          });
        })"""
    )
    assert all(later[0] - sooner[0] == 1 for sooner, later in pairwise(steps))
    # The first may have been there for a while.
    assert all(later[1] - sooner[1] > 500 for sooner, later in pairwise(steps[1:]))
    visit.until(WHOLE, prompt_tokens(visit) + 5)
    assert visit.finished() == text_of(11, 5)


def test_stop_ends_a_slow_text_between_two_tokens(visits: Callable[..., Visit], app: App) -> None:
    visit = visits(app.url)
    visit.page.clock.install()
    visit.open()
    pace(visit, "slow")
    visit.start(seed=1, new_tokens=100)
    visit.until("() => store.pacing && !store.running")
    expect(visit.button("Stop")).to_have_attribute("aria-disabled", "false")
    visit.button("Stop").click()
    expect(visit.button("Stop")).to_have_attribute("aria-disabled", "true")
    expect(visit.button("Continue")).to_have_attribute("aria-disabled", "false")
    visit.until("() => !store.pacing && !store.running")
    tokens = visit.tokens()
    visit.page.clock.fast_forward(10_000)  # much longer than between two tokens
    drawn(visit.page)
    assert visit.tokens() == tokens


def test_one_token_a_click(visit: Visit) -> None:
    pace(visit, "step")
    visit.generate(seed=11, new_tokens=120)
    start = prompt_tokens(visit)
    assert visit.tokens() == start + 1
    for count in (2, 3):
        visit.button("Continue").click()
        visit.until(WHOLE, start + count)
    assert visit.finished() == text_of(11, 3)
    # At full speed it goes on as if nothing had been.
    pace(visit, "full")
    assert visit.go_on(new_tokens=7) == text_of(11, 10)


def test_a_complaint_ends_it(visit: Visit) -> None:
    pace(visit, "slow")
    visit.choose(seed="abc")
    visit.button("Generate").click()
    expect(visit.note).to_contain_text("Seed must be")
    expect(visit.button("Stop")).to_have_attribute("aria-disabled", "true")


def test_the_pace_is_a_link(visits: Callable[..., Visit], app: App) -> None:
    visit = visits(f"{app.url}#pace=step")
    expect(visit.page.get_by_role("combobox", name="Pace")).to_have_value("step")
    visit.generate(seed=3)
    assert visit.tokens() == prompt_tokens(visit) + 1
