"""The tour: five stops, each done with the page's own controls, each a link."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, expect

from tests.examples import by_night

from .server import App
from .test_accessibility import check
from .visit import Visit

pytestmark = pytest.mark.browser

STOPS = ["prompt", "token", "row", "head", "next-word"]


def card(visit: Visit) -> Locator:
    return visit.page.locator(".guide")


def reached(visit: Visit) -> Locator:
    return card(visit).locator(".reached")


def test_it_never_starts_by_itself(visit: Visit) -> None:
    expect(card(visit)).to_have_count(0)
    assert "#" not in visit.page.url


@pytest.mark.journey
def test_whoever_does_what_it_says_gets_every_tick(visits: Callable[..., Visit], app: App) -> None:
    visit = visits(app.url)
    visit.button("Tour").click()
    expect(card(visit).get_by_role("heading")).to_have_text("Tour, 1 of 5: Prompt")
    expect(card(visit).get_by_role("heading")).to_be_focused()
    # Unfinished, the first press on Next only reminds.
    visit.button("Next").click()
    expect(card(visit).get_by_role("status")).to_contain_text("press Next again to leave it out")

    expect(visit.page.locator("#prompt.pointed-out")).to_be_visible()
    visit.generate(prompt="The cat saw the dog. The cat", new_tokens=20, seed=1)
    expect(reached(visit)).to_have_text("✓ Done.")
    visit.screenshot("tour-prompt-done")
    visit.button("Next").click()

    expect(visit.page.locator("#output .text.pointed-out")).to_be_visible()
    visit.text.locator(".token").nth(4).click()
    expect(reached(visit)).to_be_visible()
    visit.button("Next").click()

    visit.text.locator(".token").nth(7).click()  # not what this stop speaks of
    expect(reached(visit)).to_have_count(0)
    visit.map.click(position=visit.cell(9, 3))
    expect(reached(visit)).to_be_visible()
    visit.button("Next").click()

    expect(visit.page.locator("#attention .scroll.pointed-out")).to_be_visible()
    expect(reached(visit)).to_have_count(0)
    visit.atlas.click(position=visit.thumbnail(0, 1))
    expect(reached(visit)).to_be_visible()
    visit.button("Next").click()

    tokens = visit.tokens()
    visit.page.get_by_role("combobox", name="Pace").select_option("step")
    visit.button("Continue").click()
    expect(reached(visit)).to_be_visible()
    assert visit.tokens() == tokens + 1
    visit.button("Finish").click()
    expect(card(visit)).to_be_hidden()
    expect(visit.page.locator(".pointed-out")).to_have_count(0)
    # The reader's own pace is back, and the ticks stay.
    expect(visit.page.get_by_role("combobox", name="Pace")).to_have_value("full")
    visit.page.reload()
    visit.ready()
    visit.button("Tour").click()
    for name in ("Prompt", "Token", "Row", "Head", "Next word"):
        expect(visit.button(f"✓ {name}")).to_be_visible()


@pytest.mark.parametrize("theme", ["light", *by_night("dark")])
def test_it_shows_every_stop_itself(visits: Callable[..., Visit], app: App, theme: str) -> None:
    visit = visits(f"{app.url}?__theme={theme}")
    visit.button("Tour").click()
    for at, name in enumerate(STOPS):
        visit.until("(name) => location.hash.includes(`tour=${name}`)", name)
        visit.screenshot(f"tour-{name}-{theme}")
        visit.button("Show me").click()
        expect(reached(visit)).to_be_visible()
        if at == 2:
            check(visit, f"tour, {theme}")
        visit.button("Next" if at < 4 else "Finish").click()


@pytest.mark.parametrize("name", [STOPS[-1], *by_night(*STOPS[:-1])])
def test_every_stop_is_a_link(visit: Visit, name: str) -> None:
    visit.page.goto(f"{visit.url}#tour={name}")
    at = STOPS.index(name) + 1
    expect(card(visit).get_by_role("heading")).to_contain_text(f"Tour, {at} of 5")
    visit.page.reload()
    visit.ready()
    expect(card(visit).get_by_role("heading")).to_contain_text(f"Tour, {at} of 5")
    assert visit.page.url == f"{visit.url}#tour={name}"  # short enough to be read out
    visit.button("close").click()
    visit.until("() => !location.hash.includes('tour=')")


def test_a_link_of_nonsense_opens_nothing(visit: Visit) -> None:
    visit.page.goto(f"{visit.url}#tour=<img src=x>&lesson=%22&pace=__proto__")
    visit.page.reload()
    visit.ready()
    expect(card(visit)).to_have_count(0)
    expect(visit.page.get_by_role("combobox", name="Pace")).to_have_value("full")


def test_on_a_phone_the_card_leaves_what_it_speaks_of_in_view(
    visits: Callable[..., Visit], app: App
) -> None:
    phone = visits(app.url, viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    phone.button("Tour").tap()
    for at, name in enumerate(STOPS):
        phone.until("(name) => store.guide.tour === name", name)
        phone.until(
            """() => {
              const card = document.querySelector(".guide").getBoundingClientRect();
              const framed = document.querySelector(".subject").getBoundingClientRect();
              const seen = Math.min(framed.bottom, card.top) - Math.max(framed.top, 0);
              return card.top > 0 && seen > 0.9 * Math.min(framed.height, card.top);
            }"""
        )
        phone.screenshot(f"tour-{name}-phone")
        phone.button("Show me").tap()
        expect(reached(phone)).to_be_visible()
        phone.button("Next" if at < 4 else "Finish").tap()
    assert phone.page.evaluate("document.documentElement.scrollWidth") <= 390
