"""Between phone and desktop: numbers in sight whole, each beside its label."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from .comparing import Comparing
from .visit import Visit

pytestmark = pytest.mark.browser

# Sliders whose largest value is cut off, or whose box has slipped below its label.
WRONG = """() => [...document.querySelectorAll(".block:has(input[type=range])")]
  .filter((block) => block.checkVisibility())
  .filter((block) => {
    const end = block.querySelector(".max_value");
    const [label, box] = [block.querySelector("label"), block.querySelector("input[type=number]")];
    const inside = end.getBoundingClientRect().right <= block.getBoundingClientRect().right + 1;
    const beside = box.getBoundingClientRect().left >= label.getBoundingClientRect().right - 1;
    const level = box.getBoundingClientRect().top < label.getBoundingClientRect().bottom;
    return !inside || !beside || !level;
  })
  .map((block) => block.innerText)"""


def fits(visit: Visit) -> None:
    expect(visit.page.locator("input[type=range]").locator("visible=true")).to_have_count(4)
    for width in (768, 960, 1024, 1360):
        visit.page.set_viewport_size({"width": width, "height": 900})
        visit.page.wait_for_timeout(100)
        assert visit.page.evaluate(WRONG) == [], width


def test_every_slider_has_room(visit: Visit) -> None:
    visit.more_sampling()
    fits(visit)
    Comparing(visit)
    visit.page.get_by_role("button", name="More sampling").click()
    fits(visit)
