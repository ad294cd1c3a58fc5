"""The same text with other settings: marks that are the engine's, opened and closed by a button."""

from __future__ import annotations

from dataclasses import replace

import pytest
from playwright.sync_api import Locator, ViewportSize, expect

from gpt2.sampling import USUAL

from .reference import PROMPT, engine, ids_of, one_thread
from .test_inspector import choose_token, panel, serious, tab, written
from .visit import Visit

pytestmark = pytest.mark.browser

PHONE: ViewportSize = {"width": 390, "height": 844}
MARKS = """() => [...document.querySelectorAll("#output .instead")].map((node) =>
  [Number(node.dataset.from), node.classList.contains("certain")])"""


def strip(visit: Visit) -> Locator:
    return visit.output.get_by_role("group", name="The same text with other settings")


def slide(visit: Visit, name: str, value: float) -> None:
    strip(visit).get_by_role("slider", name=name).fill(str(value))


def test_marks_are_what_other_settings_would_have_drawn(visit: Visit) -> None:
    prompt = written(visit, seed=3, new_tokens=40)
    expect(strip(visit)).to_have_count(0)
    visit.output.get_by_role("button", name="other settings").click()
    expect(strip(visit)).to_contain_text("As it was written")
    assert visit.page.evaluate(MARKS) == []
    ids, options = ids_of(3, 40), replace(USUAL, seed=3)
    for name, field, value in (
        ("Temperature", "temperature", 1.7),
        ("Top-k", "top_k", 3),
        ("Top-p", "top_p", 0.3),
    ):
        with one_thread():
            expected = engine().flips(ids, prompt, replace(options, **{field: value}))
        slide(visit, name, value)
        visit.until(
            f"(n) => ({MARKS})().length === n && !!document.querySelector('#output .flip-words')",
            len(expected),
        )
        assert visit.page.evaluate(MARKS) == [[flip.place, flip.certain] for flip in expected]
        if expected:
            word = engine().tokenizer.decode([expected[0].instead]).replace(" ", "·")
            expect(strip(visit)).to_contain_text(f"at token {expected[0].place} “{word}” instead")
            expect(strip(visit)).to_contain_text("for certain")
        visit.screenshot(f"flips-{field}")
        strip(visit).get_by_role("button", name="as written").click()
        expect(visit.text.locator(".instead, .flipped")).to_have_count(0)
        expect(strip(visit)).to_contain_text("As it was written")
    slide(visit, "Temperature", 1.7)
    expect(visit.text.locator(".instead").first).to_be_visible()
    strip(visit).get_by_role("button", name="close").click()
    expect(strip(visit)).to_have_count(0)
    expect(visit.text.locator(".instead, .flipped")).to_have_count(0)
    expect(visit.output.get_by_role("button", name="other settings")).to_be_focused()


def test_another_text_closes_it(visit: Visit) -> None:
    written(visit)
    visit.output.get_by_role("button", name="other settings").click()
    slide(visit, "Temperature", 1.9)
    expect(visit.text.locator(".instead").first).to_be_visible()
    visit.generate(prompt=PROMPT, seed=5, new_tokens=8)
    expect(strip(visit)).to_have_count(0)
    expect(visit.text.locator(".instead, .flipped")).to_have_count(0)


def test_a_token_s_own_temperatures_stand_in_its_tab(visit: Visit) -> None:
    prompt = written(visit)
    with one_thread():
        ranges = engine().flip_ranges(ids_of(3, 24), prompt, replace(USUAL, seed=3))
    found = next(each for each in ranges if each.token_below is not None)
    choose_token(visit, found.place)
    tab(visit, "Next").click()
    expect(panel(visit)).to_contain_text(f"” below temperature {found.below:.2f}")
    choose_token(visit, 2)
    expect(panel(visit)).not_to_contain_text("Same draw")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_and_a_phone_has_room(visit: Visit, theme: str) -> None:
    visit.open(f"?__theme={theme}")
    written(visit)
    visit.output.get_by_role("button", name="other settings").click()
    slide(visit, "Temperature", 1.9)
    expect(visit.text.locator(".instead").first).to_be_visible()
    assert serious(visit) == []
    visit.screenshot(f"flips-{theme}")
    visit.page.set_viewport_size(PHONE)
    assert visit.page.evaluate("document.documentElement.scrollWidth") <= 390
    visit.screenshot(f"flips-phone-{theme}")
