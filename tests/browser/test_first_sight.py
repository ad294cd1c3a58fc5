"""What somebody sees who has never heard of attention: what this is, and an example in words."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from .server import App
from .visit import Visit

pytestmark = pytest.mark.browser

CAPTION = "Before “dog”, this head looks back to “cat”, which followed “the” last time."


def test_the_first_screen_says_what_it_shows(visit: Visit) -> None:
    visit.page.set_viewport_size({"width": 1280, "height": 720})
    expect(visit.page.locator("#top")).to_contain_text(
        "Watch a language model choose each word, and see which earlier words it looks at."
    )
    # The example can be read, a telling row of it is selected, and one sentence says what it tells.
    expect(visit.output.get_by_text("Example", exact=True)).to_be_visible()
    expect(visit.text.locator(".selected")).to_have_text(" the")
    caption = visit.attention.locator("[data-part=words]")
    expect(caption).to_have_text(CAPTION)
    for part in (caption, visit.text.locator(".selected")):
        assert part.evaluate("(p) => p.getBoundingClientRect().bottom <= innerHeight"), part
    visit.screenshot("first-sight-1280")


def test_the_example_opens_on_its_map_whatever_others_look_at(
    visits: Callable[..., Visit], app: App
) -> None:
    other = visits(app.url)
    other.layer.select_option("0")
    other.until("() => store.look.layer === 0 && store.missing() === null")
    mine = visits(app.url)
    expect(mine.attention.locator("[data-part=words]")).to_have_text(CAPTION)


def test_a_dotted_term_explains_itself_in_one_sentence(visit: Visit) -> None:
    said = visit.page.locator("#popover")
    for term, sentence in (
        ("language model", "A language model is a program"),
        ("Head", "A head is one of several attention patterns"),
        ("tokens", "A token is the piece of text"),
    ):
        button = visit.button(term).first
        button.click()
        expect(said).to_be_visible()
        expect(said).to_contain_text(sentence)
        expect(button).to_have_attribute("aria-expanded", "true")
        expect(button).to_have_accessible_description(re.compile(sentence))
        box = said.bounding_box()
        assert box["x"] >= 0 and box["x"] + box["width"] <= 1360
        visit.page.keyboard.press("Escape")
        expect(said).to_be_hidden()
        expect(button).to_have_attribute("aria-expanded", "false")
    button = visit.button("Layer")
    button.focus()
    visit.page.keyboard.press("Enter")
    expect(said).to_contain_text("A layer is one of the steps")
    button.click()  # the same again closes it
    expect(said).to_be_hidden()


REPEATS = "Tom had a red ball and Lily had a blue ball. Tom had a red ball and Lily had a"


def test_after_a_run_the_clearest_head_is_open_and_says_so(visit: Visit) -> None:
    visit.generate(prompt=REPEATS, new_tokens=10, seed=1)
    visit.until("() => store.run.opened && store.suggested")
    opened, suggested = visit.page.evaluate("[store.run.opened, store.suggested]")
    assert visit.page.evaluate("[store.look.layer, store.look.head]") == [
        opened["layer"],
        opened["head"],
    ]
    expect(visit.attention.locator("[data-part=words]")).to_contain_text(
        f"Clearest head on this text: layer {opened['layer'] + 1}, head {opened['head'] + 1}. "
    )
    expect(visit.text.locator(".selected")).to_have_attribute("data-from", str(suggested))
    # What the scores say: of all heads the one that plays the role most.
    scores = visit.page.evaluate(f"store.roles.text.scores.{opened['role']}")
    heads = visit.page.evaluate("store.run.heads")
    assert scores.index(max(scores)) == opened["layer"] * heads + opened["head"]
    # Whoever lets go follows the newest row; whoever has chosen keeps what is chosen.
    visit.map.press("Escape")
    visit.until("store.selection.query === store.drawable - 1")
    visit.layer.select_option("0")
    visit.generate(new_tokens=10, seed=2)
    visit.until("() => store.roles.text?.n === store.run.rowCount")
    assert visit.page.evaluate("store.look.layer") == 0
    assert visit.page.evaluate("store.run.opened ?? null") is None
