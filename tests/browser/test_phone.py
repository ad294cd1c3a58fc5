"""The page on a phone: one column, a finger instead of a pointer."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from tests.examples import by_night

from .server import App
from .visit import Visit

pytestmark = pytest.mark.browser


@pytest.fixture
def phone(visits: Callable[..., Visit], app: App) -> Visit:
    return visits(
        app.url,
        viewport={"width": 390, "height": 844},
        device_scale_factor=2,
        has_touch=True,
        is_mobile=True,
    )


def test_one_column_as_wide_as_the_screen(phone: Visit) -> None:
    phone.more_sampling()
    phone.generate(new_tokens=60, seed=1)
    assert phone.page.evaluate("document.documentElement.scrollWidth") <= 390
    tops = [part.bounding_box()["y"] for part in (phone.prompt, phone.output, phone.attention)]
    assert tops == sorted(tops)
    for part in (phone.prompt, phone.output, phone.attention, phone.map):
        box = part.bounding_box()
        assert box["x"] >= 0 and box["x"] + box["width"] <= 390
        assert box["width"] > 290
    for name in ("Generate", "Stop", "Continue"):
        assert phone.button(name).bounding_box()["height"] >= 40
    phone.screenshot("phone")


@pytest.mark.parametrize("width", [320, *by_night(360, 375, 389)])
def test_the_buttons_stay_on_their_card(phone: Visit, width: int) -> None:
    phone.page.set_viewport_size({"width": width, "height": 800})
    card = phone.page.locator("#actions").bounding_box()
    buttons = [phone.button(name) for name in ("Generate", "Stop", "Continue")]
    rights = [box["x"] + box["width"] for box in (button.bounding_box() for button in buttons)]
    assert rights == sorted(rights)
    assert rights[-1] <= card["x"] + card["width"] + 0.5
    for button in buttons:
        assert button.evaluate("(button) => button.scrollWidth <= button.clientWidth")


def test_generate_leads_to_the_text_and_a_bar_holds_stop(phone: Visit) -> None:
    bar = phone.page.locator("#run-note [data-part=bar]")
    expect(bar).to_be_hidden()
    phone.choose(size="deep", new_tokens=1000, seed=1)
    phone.page.evaluate("scrollTo(0, 0)")
    phone.button("Generate").tap()
    phone.until("store.run?.status && store.run.tokens.ready > store.run.status.prompt + 5")
    expect(bar).to_be_visible()
    expect(bar).to_contain_text(re.compile(r"\d+ of \d+ tokens · \S+ tokens/s"))
    phone.until("Math.abs(document.querySelector('#output').getBoundingClientRect().top) < 40")
    box = bar.bounding_box()
    assert box["y"] + box["height"] == 844
    stop = phone.button("Stop writing")
    assert stop.bounding_box()["height"] >= 44
    stop.tap()
    expect(phone.note).to_have_text("Stopped.")
    expect(bar).to_be_hidden()


def test_a_complaint_on_a_phone_stays_with_its_buttons(phone: Visit) -> None:
    phone.choose(seed="abc")
    phone.button("Generate").tap()
    expect(phone.note).to_contain_text("Seed must be")
    phone.until(
        """() => {
          const { top, bottom } = document.querySelector("#run-note [role=status]")
            .getBoundingClientRect();
          return top >= 0 && bottom <= innerHeight;
        }"""
    )


def test_a_tap_reads_a_cell_and_chooses_a_token(phone: Visit) -> None:
    phone.generate(new_tokens=10, seed=1)
    phone.map.tap(position=phone.cell(12, 4))
    expect(phone.attention).to_contain_text(re.compile(r"\(12\) reads “.+” \(4\): "))
    expect(phone.text.locator(".selected")).to_have_attribute("data-from", "12")
    phone.text.locator(".token").nth(3).tap()
    expect(phone.text.locator(".selected")).to_have_attribute("data-from", "3")
    phone.atlas.tap(position=phone.thumbnail(0, 2))
    expect(phone.head).to_have_value("2")
    phone.button("full screen").tap()
    expect(phone.button("close")).to_be_visible()
    width = phone.map.bounding_box()["width"]
    assert width > 325
    phone.button("close").tap()
    expect(phone.button("full screen")).to_be_visible()
    assert phone.page.evaluate("document.documentElement.scrollWidth") <= 390


def test_two_fingers_zoom_the_map_and_one_drags_it(phone: Visit) -> None:
    phone.generate(new_tokens=60, seed=1)
    phone.map.scroll_into_view_if_needed()
    box = phone.map.bounding_box()
    middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    minimap = phone.attention.locator("[data-part=minimap]")
    session = phone.context.new_cdp_session(phone.page)

    def touch(kind: str, *fingers: tuple[float, float]) -> None:
        points = [{"x": x, "y": y, "id": i} for i, (x, y) in enumerate(fingers)]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    def fingers(apart: float) -> list[tuple[float, float]]:
        return [(middle[0] - apart, middle[1]), (middle[0] + apart, middle[1])]

    def pinch(*distances: float) -> None:
        touch("touchStart", *fingers(distances[0]))
        for apart in distances[1:]:
            touch("touchMove", *fingers(apart))
        touch("touchEnd")

    expect(minimap).to_be_hidden()
    pinch(30, 45, 60, 75, 90)
    expect(minimap).to_be_visible()
    assert phone.page.evaluate("visualViewport.scale") == 1
    chosen = phone.page.evaluate("store.pick")
    before = minimap.evaluate("canvas => canvas.toDataURL()")
    touch("touchStart", middle)
    for step in (10, 20, 30, 40):
        touch("touchMove", (middle[0] + step, middle[1] + step))
    touch("touchEnd")
    phone.until(
        "(before) => document.querySelector('[data-part=minimap]').toDataURL() !== before", before
    )
    assert phone.page.evaluate("store.pick") == chosen  # a drag chooses nothing
    pinch(90, 60, 40, 20, 5)
    expect(minimap).to_be_hidden()
