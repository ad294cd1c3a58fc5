"""Full screen, as a class sees it: model, layer, head, text and list stay, beside the map."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from tests.examples import by_night

from .server import App
from .visit import Visit

pytestmark = pytest.mark.browser


@pytest.mark.parametrize(("width", "height"), [(1280, 720), *by_night((1920, 1080))])
def test_what_stays(visits: Callable[..., Visit], app: App, width: int, height: int) -> None:
    visit = visits(app.url, viewport={"width": width, "height": height})
    visit.generate(seed=1, new_tokens=40)
    visit.button("full screen").click()
    visit.until("() => document.fullscreenElement?.id === 'columns'")
    for shown in (
        visit.page.locator(".projected"),
        visit.layer,
        visit.head,
        visit.text,
        visit.attention.locator(".reads"),
        visit.map,
        visit.button("Continue"),
    ):
        expect(shown).to_be_in_viewport(ratio=0.95)
    expect(visit.page.locator(".projected")).to_contain_text("Tiny")
    for hidden in (visit.prompt, visit.atlas):
        expect(hidden).to_be_hidden()
    font = "getComputedStyle(document.querySelector('#output .text')).fontSize"
    assert visit.page.evaluate(font) == "24px"
    visit.screenshot(f"projector-{width}")
    # Still one page: a word that is pressed there is shown in the map, and a run goes on.
    visit.text.locator(".token").nth(5).click()
    assert visit.page.evaluate("store.pick.query") == 5
    visit.go_on()
    visit.button("close").click()
    expect(visit.prompt).to_be_visible()
    expect(visit.page.locator(".projected")).to_be_hidden()


def test_a_lesson_stays_above_it(visit: Visit) -> None:
    visit.button("Lessons").click()
    visit.button("full screen").click()
    visit.until("() => document.fullscreenElement?.id === 'columns'")
    visit.button("minimise").click()
    expect(visit.page.locator(".guide .lesson").first).to_be_hidden()
    visit.button("open").click()
    expect(visit.page.locator(".guide .lesson").first).to_be_visible()
