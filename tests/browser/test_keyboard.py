"""The page without a mouse: everything is reached, everything shows that it is reached."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import TimeoutError, expect

from .visit import Visit

pytestmark = pytest.mark.browser

# How an element and what frames it look; noted for all of them while none has the focus.
REST = """() => {
  window.lookOf = (element) => {
    const looks = [];
    for (let e = element, i = 0; e && i < 5; e = e.parentElement, i++) {
      const style = getComputedStyle(e);
      const outline = style.outlineStyle === "none" ? "" : style.outline;
      looks.push(outline, style.boxShadow, style.borderColor);
    }
    return looks.join();
  };
  document.activeElement.blur();
  window.rest = new Map([...document.querySelectorAll("*")].map((e) => [e, lookOf(e)]));
}"""
MARKED = "() => lookOf(document.activeElement) !== rest.get(document.activeElement)"
NAME = """() => {
  const e = document.activeElement;
  if (e === document.body) return null;
  const named = document.getElementById(e.getAttribute("aria-labelledby"));
  const label = named ?? e.labels?.[0] ?? e;
  return e.getAttribute("aria-label") ?? label.innerText;
}"""


def test_tab_reaches_everything_and_shows_where_it_is(visit: Visit) -> None:
    visit.more_sampling()
    visit.generate(new_tokens=5, seed=1)
    visit.page.mouse.click(2, 2)  # Tab starts from the top
    visit.page.evaluate(REST)
    reached: list[str] = []
    unmarked: list[str] = []
    for _ in range(60):
        visit.page.keyboard.press("Tab")
        name = visit.page.evaluate(NAME)
        if name is None:
            break
        reached.append(name.split("\n")[0].strip())
        try:
            visit.page.wait_for_function(MARKED, timeout=3000)  # some borders change slowly
        except TimeoutError:
            unmarked.append(name)
    assert unmarked == []
    order = [
        "Generate",  # the tab
        "Prompt",
        "The old king",
        "Oh, look!",
        "A red ball",
        "Model size",
        "number input for Temperature",
        "range slider for Temperature",
        "number input for New tokens",
        "range slider for New tokens",
        "More sampling",
        "number input for Top-k",
        "range slider for Top-k",
        "number input for Top-p",
        "range slider for Top-p",
        "Seed",
        "Generate",
        "Stop",
        "Continue",
        "copy",
        "save",
        "Text, token by token: arrow keys choose a token, Escape lets go",
        "tokens",
        "seed",
        "Attention",
        "Map",
        "Map",
        "Layer",
        "Layer",
        "Head",
        "Head",
        "Attention map",
        "Zoom in",
        "full screen",
        "Colour scale",
        "Atlas of all heads",
    ]
    known = [re.split(r"[.,] ", name)[0] if "heads" in name or "map," in name else name
             for name in reached]  # fmt: skip
    assert [name for name in known if name in order] == order


def test_a_list_of_choices_closes_behind_who_tabs_on(visit: Visit) -> None:
    visit.more_sampling()
    lists = visit.page.locator("#controls [role=listbox]")
    for label in ("Model size", "Draft with"):
        field = visit.page.get_by_role("combobox", name=label, exact=True)
        value = field.input_value()
        field.focus()
        expect(lists).to_have_count(1)
        visit.page.keyboard.press("Tab")
        expect(lists).to_have_count(0)
        expect(field).not_to_be_focused()
        assert field.input_value() == value


@pytest.mark.journey
def test_a_run_by_keys_alone(visit: Visit) -> None:
    page = visit.page
    visit.choose(new_tokens=12, seed=2)
    visit.prompt.focus()
    page.keyboard.press("ControlOrMeta+a")
    page.keyboard.type("The old king said")
    page.keyboard.press("Shift+Enter")
    visit.until("() => store.run?.status && !store.run.example")
    assert visit.finished().startswith("The old king said")
    assert "\n" not in visit.prompt.input_value()
    last = visit.rows() - 1

    visit.map.focus()
    page.keyboard.press("Escape")  # the newest row, not the one that was opened
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Home")
    selected = "() => [store.selection.query, store.selection.key]"
    assert page.evaluate(selected) == [last - 1, 0]
    page.keyboard.press("PageUp")
    page.keyboard.press("End")
    assert page.evaluate(selected) == [last - 11, last - 11]
    spoken = visit.attention.locator("[aria-live=polite]").first
    expect(spoken).to_have_text(re.compile(rf"\({last - 11}\) reads .+ \({last - 11}\): "))
    page.keyboard.press("Escape")
    assert page.evaluate("store.selection.follows") is True
    expect(spoken).to_have_text("Following the newest row")

    visit.text.focus()
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    expect(visit.text.locator(".selected")).to_have_attribute("data-from", "2")
    page.keyboard.press("Escape")
    assert page.evaluate("store.selection.follows") is True

    visit.head.focus()
    page.keyboard.press("Home")
    page.keyboard.press("ArrowDown")
    visit.until("() => store.look.head === 1")
    visit.atlas.press("End")
    visit.until("() => store.look.head === 3")
