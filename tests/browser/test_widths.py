"""Between phone and desktop: numbers in sight whole, each beside its label."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.chromium import drawn
from tests.examples import by_night

from .comparing import Comparing
from .visit import Visit

pytestmark = pytest.mark.browser

# Sliders whose largest value is cut off, or whose box has slipped below its label.
WRONG = """() => [...document.querySelectorAll(".block:has(input[type=range])")]
  .filter((block) => block.checkVisibility() && block.querySelector(".max_value"))
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
        drawn(visit.page)
        assert visit.page.evaluate(WRONG) == [], width


@pytest.mark.journey
def test_every_slider_has_room(visit: Visit) -> None:
    visit.more_sampling()
    fits(visit)
    Comparing(visit)
    visit.page.get_by_role("button", name="More sampling").click()
    fits(visit)


@pytest.mark.parametrize(
    ("width", "height"), [(1280, 720), (2560, 1440), *by_night((1536, 864), (1920, 1080))]
)
def test_every_screen_is_used(visit: Visit, width: int, height: int) -> None:
    visit.page.set_viewport_size({"width": width, "height": height})
    main = visit.page.locator("main").bounding_box()
    left, right = main["x"], width - main["x"] - main["width"]
    assert abs(left - right) <= 16  # a scroll bar may stand on the right
    assert main["width"] >= min(width, 2200) - 16
    text, figure, side, heads = (
        visit.page.locator(place).bounding_box()
        for place in (
            "#output",
            "#attention [data-part=figure]",
            "#attention [data-part=reads]",
            "#attention [data-part=atlas]",
        )
    )
    # From left to right text, map and what is read; all heads below.
    assert text["x"] + text["width"] <= figure["x"]
    assert figure["x"] + figure["width"] <= side["x"]
    assert side["x"] + side["width"] <= main["x"] + main["width"]
    assert heads["y"] > figure["y"] + figure["height"]
    # The whole map fits on the screen, and the text stays in sight beside the heads.
    assert visit.map.bounding_box()["height"] <= height
    visit.page.evaluate("scrollTo(0, document.body.scrollHeight)")
    visit.until("scrollY > 200")
    output = visit.output.bounding_box()
    assert output["y"] >= 0 and output["y"] + output["height"] <= height
