"""The lessons, on what Mini really does: Try fills and runs, and the check passes for whoever finds
what the task asks for, and for nobody else.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, expect

from tests.examples import by_night

from .server import App
from .test_accessibility import check
from .visit import Visit

pytestmark = pytest.mark.browser


# Whether the card lies over anything that it frames.
COVERS = """() => {
  const card = document.querySelector(".guide").getBoundingClientRect();
  return [...document.querySelectorAll(".pointed-out")].some((one) => {
    const box = one.getBoundingClientRect();
    return Math.min(box.right, card.right) > Math.max(box.left, card.left)
      && Math.min(box.bottom, card.bottom) > Math.max(box.top, card.top);
  });
}"""


def card(visit: Visit) -> Locator:
    return visit.page.locator(".guide")


def reached(visit: Visit) -> Locator:
    return card(visit).locator(".reached")


def opened(visits: Callable[..., Visit], app: App, lesson: str) -> Visit:
    """A page that a teacher's link has opened."""
    visit = visits(f"{app.url}#lesson={lesson}")
    expect(card(visit).get_by_role("heading")).to_contain_text("Lesson: ")
    expect(reached(visit)).to_have_count(0)
    return visit


def tried(visit: Visit) -> None:
    before = visit.run_id()
    visit.button("Try").click()
    visit.until("(old) => store.run?.status && store.run.id !== old", before)
    visit.finished()


def hint_all(visit: Visit) -> None:
    for name in ("Hint", "Stronger hint", "Show the way"):
        visit.button(name).click()
    expect(visit.button("Show the way")).to_be_hidden()
    expect(card(visit).locator(".quiet:visible")).to_have_count(3)


@pytest.mark.journey
def test_induction(visits: Callable[..., Visit], mini: App) -> None:
    visit = opened(visits, mini, "induction")
    tried(visit)
    assert visit.page.evaluate("[store.look.layer + 1, store.look.head + 1]") == [6, 4]
    visit.text.locator(".token").nth(5).click()  # stands there for the first time
    expect(reached(visit)).to_have_count(0)
    hint_all(visit)
    visit.text.locator(".token").nth(12).click()  # " ball" again
    expect(reached(visit)).to_contain_text("induction head")
    visit.screenshot("lesson-induction")


def test_the_sink(visits: Callable[..., Visit], mini: App) -> None:
    visit = opened(visits, mini, "sink")
    tried(visit)
    visit.layer.select_option("2")
    visit.head.select_option("4")
    visit.until("store.drawable === store.run.rowCount")
    expect(reached(visit)).to_have_count(0)  # the first token is still shown apart
    hint_all(visit)
    separate = visit.attention.get_by_role("checkbox", name="separate first token")
    separate.uncheck()
    expect(reached(visit)).to_contain_text("attention sink")
    visit.screenshot("lesson-sink")


def test_a_head_that_does_not_rest_is_no_sink(visits: Callable[..., Visit], mini: App) -> None:
    visit = opened(visits, mini, "sink")
    tried(visit)
    visit.attention.get_by_role("checkbox", name="separate first token").uncheck()
    visit.layer.select_option("3")
    visit.head.select_option("3")
    visit.until("store.drawable === store.run.rowCount")
    expect(reached(visit)).to_have_count(0)


def test_temperature(visits: Callable[..., Visit], mini: App) -> None:
    visit = opened(visits, mini, "temperature")
    tried(visit)
    expect(visit.number("Temperature").first).to_have_value("0")
    cold = visit.written()
    assert visit.generate() == cold
    expect(reached(visit)).to_have_count(0)
    assert visit.generate(temperature=1.5) != cold
    expect(reached(visit)).to_contain_text("likeliest token is taken every time")
    visit.screenshot("lesson-temperature")


def test_size_against_quality(visits: Callable[..., Visit], mini: App) -> None:
    visit = opened(visits, mini, "size")
    visit.button("Try").click()
    diverges = visit.page.get_by_role("button", name="Diverges from Tiny")
    expect(diverges).to_be_visible()
    figures = visit.page.get_by_role("region", name="Figures")
    expect(figures.get_by_role("row")).to_have_count(3)
    scores = figures.locator("tbody tr td:last-child")
    expect(scores).to_have_text([re.compile(r"^\d\.\d+$")] * 2)  # a dash until they are there
    bits = [float(score) for score in scores.all_text_contents()]
    assert bits[1] < 0.9 * bits[0]  # which is what the lesson says of the larger size
    expect(reached(visit)).to_have_count(0)
    diverges.click()
    expect(reached(visit)).to_contain_text("Fewer bits per byte")
    visit.screenshot("lesson-size")


def test_one_other_word(visits: Callable[..., Visit], mini: App) -> None:
    visit = opened(visits, mini, "fork")
    tried(visit)
    first = visit.written()
    hint_all(visit)
    visit.text.locator(".token:not(.prompt)").first.click()
    visit.attention.get_by_role("tab", name="Next").click()
    assert not visit.page.evaluate(COVERS)
    expect(reached(visit)).to_have_count(0)  # to look is not enough
    visit.page.get_by_role("button", name="·sorry: rewrite from here").click()
    expect(reached(visit)).to_contain_text("One token is different")
    assert visit.written().startswith("Tom lost his dog. He was very sorry")
    assert visit.written() != first
    # As many as the first text has: the whole text counts, not what was written anew.
    expect(visit.output).to_contain_text("25 of 25 new tokens")
    visit.screenshot("lesson-fork")


def test_without_one_of_its_heads(visits: Callable[..., Visit], mini: App) -> None:
    visit = opened(visits, mini, "off")
    tried(visit)
    assert visit.page.evaluate("[store.look.layer + 1, store.look.head + 1]") == [6, 4]
    assert visit.written().count(" red") == 4
    hint_all(visit)
    visit.text.locator(".token:not(.prompt)").first.click()
    visit.attention.get_by_role("tab", name="Heads").click()
    visit.button("Switch off").click()
    bar = visit.page.get_by_role("group", name="Heads that are off")
    expect(bar).to_contain_text("1 head off “·ball” 91 % → 52 %")
    assert not visit.page.evaluate(COVERS)
    expect(reached(visit)).to_have_count(0)
    visit.screenshot("lesson-off-measured")
    bar.get_by_role("button", name="Rewrite").click()
    expect(reached(visit)).to_contain_text("what changed came from that head")
    assert visit.written().count(" red") == 2  # those of the prompt
    visit.screenshot("lesson-off")


def test_try_opens_the_head_of_the_task_also_after_another_choice(
    visits: Callable[..., Visit], mini: App
) -> None:
    visit = opened(visits, mini, "off")
    visit.layer.select_option("0")
    visit.head.select_option("0")
    visit.until("() => store.chosen")
    tried(visit)
    visit.until("() => store.run.shown && store.look.layer === 5 && store.look.head === 3")
    expect(visit.attention.locator("[data-part=words]")).to_contain_text("Clearest head")


def test_on_a_phone_the_card_gives_way_to_the_sheet(
    visits: Callable[..., Visit], mini: App
) -> None:
    size = {"width": 390, "height": 844}
    phone = visits(f"{mini.url}#lesson=fork", viewport=size, has_touch=True, is_mobile=True)
    tried(phone)
    phone.button("minimise").tap()
    phone.text.locator(".token:not(.prompt)").first.tap()
    sheet = phone.page.get_by_role("dialog", name="About the selected token")
    phone.button("open").tap()
    expect(sheet).to_be_visible()
    phone.screenshot("lesson-fork-phone")
    over, under = card(phone).bounding_box(), sheet.bounding_box()
    assert over
    assert under
    assert over["y"] + over["height"] <= under["y"]


@pytest.mark.parametrize("theme", ["light", *by_night("dark")])
def test_the_list_remembers_what_is_done(
    visits: Callable[..., Visit], mini: App, theme: str
) -> None:
    visit = visits(f"{mini.url}?__theme={theme}")
    visit.button("Lessons").click()
    expect(card(visit).locator(".lesson")).to_have_count(6)
    check(visit, f"lessons, {theme}")
    visit.screenshot(f"lessons-{theme}")
    visit.button("Looking up what came next last time").click()
    tried(visit)
    visit.text.locator(".token").nth(12).click()
    expect(reached(visit)).to_be_visible()
    check(visit, f"a lesson, {theme}")
    visit.page.reload()
    visit.ready()
    expect(card(visit)).to_be_visible()  # the address holds it
    visit.button("All lessons").click()
    expect(visit.button("✓ Looking up what came next last time")).to_be_visible()
    visit.button("minimise").click()
    expect(card(visit).locator(".lesson").first).to_be_hidden()
    visit.button("open").click()
    expect(card(visit).locator(".lesson").first).to_be_visible()
    visit.button("close").click()
    expect(card(visit)).to_be_hidden()


def test_other_storage_than_ours_is_nothing(visits: Callable[..., Visit], mini: App) -> None:
    visit = visits(mini.url)
    for kept in ("{", "null", "[]", '{"lesson": 7}'):
        visit.page.evaluate("(kept) => localStorage.setItem('gpt2 learned', kept)", kept)
        visit.button("Lessons").click()
        expect(card(visit).locator(".lesson")).to_have_count(6)
        visit.button("close").click()
