"""The tree of texts: undo and redo of everything, over a reload and a link, and side by side."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Locator, expect

from .reference import PROMPT, text_of
from .server import App
from .test_inspector import choose_token, panel, serious, tab, written
from .test_save import saved
from .visit import Visit

pytestmark = pytest.mark.browser

SHOWN = "() => store.run?.status && store.missing() === null && store.drawable > 10"


def path(visit: Visit) -> Locator:
    return visit.output.get_by_role("navigation", name="How this text was made")


def fork(visit: Visit, at: int, nth: int = 0) -> str:
    """Rewrite from `at` with one of the other likely tokens; its label."""
    choose_token(visit, at)
    tab(visit, "Next").click()
    before = visit.run_id()
    other = panel(visit).get_by_role("button", name=re.compile("rewrite from here")).nth(nth)
    label = (other.text_content() or "").strip()
    other.click()
    visit.until("(old) => store.run.id !== old", before)
    visit.finished()
    return label


def step(visit: Visit, name: str) -> str:
    """Undo or redo; the text then."""
    at = visit.page.evaluate("store.branches.at")
    path(visit).get_by_role("button", name=name, exact=True).click()
    visit.until("(at) => store.branches.at !== at", at)
    return visit.finished()


def test_the_original_s_own_token_gives_the_original_to_the_bit(visit: Visit) -> None:
    at = written(visit) + 4
    original = visit.page.evaluate("JSON.stringify(store.run.tokens.items)")
    token = visit.page.evaluate("(at) => JSON.stringify(store.run.tokens.items[at])", at)
    fork(visit, at)
    assert visit.page.evaluate("JSON.stringify(store.run.tokens.items)") != original
    choose_token(visit, at)
    before = visit.run_id()
    label = json.loads(token).replace(" ", "·")
    panel(visit).get_by_role("button", name=f"{label}: rewrite from here", exact=True).click()
    visit.until("(old) => store.run.id !== old", before)
    visit.finished()
    assert visit.page.evaluate("JSON.stringify(store.run.tokens.items)") == original


def test_stop_continue_and_another_prompt_are_undone_like_a_fork(visit: Visit) -> None:
    first = visit.generate(prompt=PROMPT, new_tokens=10, seed=3)
    longer = visit.go_on(new_tokens=6)
    expect(path(visit)).to_contain_text("continued at")
    second = visit.generate(prompt="The old king", new_tokens=12, seed=4)
    assert step(visit, "undo") == longer
    expect(visit.prompt).to_have_value(PROMPT)
    assert step(visit, "undo") == first
    expect(path(visit).get_by_role("button", name="undo")).to_have_attribute(
        "aria-disabled", "true"
    )
    assert step(visit, "redo") == longer
    assert step(visit, "redo") == second
    expect(visit.prompt).to_have_value("The old king")
    # Ctrl+Z belongs to the field that is typed in, and to the page elsewhere.
    visit.prompt.fill("The old king had")
    visit.prompt.press("Control+z")
    visit.text.focus()
    visit.page.keyboard.press("Control+z")
    visit.until("(text) => plainText(store.run.tokens.items) === text", longer)
    assert visit.finished() == longer
    # The server goes on from what is shown.
    step(visit, "undo")
    assert visit.go_on(new_tokens=6, seed="3") == longer


def test_what_is_typed_and_not_yet_used_stays(visit: Visit) -> None:
    visit.generate(prompt=PROMPT, new_tokens=8, seed=3)
    visit.generate(prompt="The old king", new_tokens=8, seed=3)
    visit.prompt.fill("Something new")
    step(visit, "undo")
    expect(visit.prompt).to_have_value("Something new")


def test_the_tree_survives_a_reload_and_travels_in_a_link(
    visits: Callable[..., Visit], app: App
) -> None:
    visit = visits(app.url)
    original = visit.generate(seed=3, new_tokens=20)
    at = visit.page.evaluate("store.run.status.prompt") + 4
    visit.until("() => location.hash.includes('&text=')")
    before = visit.page.url.split("&text=")[1]
    label = fork(visit, at)
    forked = visit.written()
    visit.page.reload()  # at once: its address has not been written yet
    visit.ready()
    visit.until(SHOWN)
    assert visit.written() == forked
    visit.until("(text) => !location.hash.endsWith(text)", before)
    address = visit.page.url
    expect(path(visit)).to_contain_text(f"original“{label}” at {at}")
    assert step(visit, "undo") == original
    assert step(visit, "redo") == forked

    other = visits(address)
    other.until(SHOWN)
    assert other.written() == forked
    expect(path(other)).to_contain_text(f"“{label}” at {at}")
    path(other).get_by_role("button", name="original", exact=True).click()
    other.until("(text) => plainText(store.run.tokens.items) === text", original)
    other.finished()
    # What was put back is a text like any other.
    fork(other, at, 1)
    expect(path(other).get_by_role("combobox", name="All branches")).to_be_visible()
    assert serious(other) == []
    other.screenshot("branches")
    options = path(other).get_by_role("option").all_text_contents()
    assert [option.strip() for option in options][:2] == ["original", f"“{label}” at {at}"]
    path(other).get_by_role("combobox").select_option(index=1)
    other.until("(text) => plainText(store.run.tokens.items) === text", forked)
    other.page.set_viewport_size({"width": 390, "height": 844})
    assert other.page.evaluate("document.documentElement.scrollWidth") <= 390
    other.screenshot("branches-phone")


def test_branches_stand_beside_each_other_in_compare(
    visits: Callable[..., Visit], app: App
) -> None:
    visit = visits(app.url)
    original = visit.generate(seed=3, new_tokens=20)
    at = visit.page.evaluate("store.run.status.prompt") + 4
    label = fork(visit, at)
    forked = visit.written()
    for _ in range(2):  # again, with the same texts
        path(visit).get_by_role("button", name="compare the branches").click()
        columns = visit.page.get_by_role("region", name="Columns")
        expect(columns.get_by_role("heading", name="original")).to_be_visible()
        expect(columns.get_by_role("heading", name=f"“{label}” at {at}")).to_be_visible()
        texts = columns.get_by_role("group")
        expect(texts.nth(0)).to_contain_text(original)
        expect(texts.nth(1)).to_contain_text(forked)
        expect(columns).to_contain_text("Diverges from original after 4 tokens")
        expect(columns.get_by_text("take turns")).to_be_hidden()
        expect(columns.get_by_role("navigation")).to_have_count(0)
        assert serious(visit) == []
        visit.screenshot("branches-beside")
        visit.page.get_by_role("tab", name="Generate", exact=True).click()
    assert visit.written() == forked


def test_heads_off_and_branches_travel(
    visits: Callable[..., Visit], app: App, tmp_path: Path
) -> None:
    visit = visits(app.url)
    written(visit, new_tokens=16)
    first = visit.run_id()
    visit.page.evaluate("store.toggleHead({layer: 4, head: 1})")
    visit.until("() => location.hash.includes('&off=5.2&')")
    pending = visits(visit.page.url)
    pending.until(SHOWN)
    bar = pending.attention.get_by_role("group", name="Heads that are off")
    expect(bar).to_contain_text("1 head off")
    assert pending.page.evaluate("store.off") == [[4, 1]]

    bar = visit.attention.get_by_role("group", name="Heads that are off")
    bar.get_by_role("button", name="Rewrite").click()
    visit.until("(old) => store.run.id !== old", first)
    visit.finished()
    text = visit.written()
    visit.until("() => !location.hash.includes('&off=') && location.hash.includes('&text=')")
    visit.attention.get_by_text("Save or share this map").click()
    numbers = json.loads(saved(visit, "JSON", tmp_path).read_text("utf-8"))
    assert numbers["heads_off"] == [[5, 2]]
    assert numbers["branch"][0] == "original"
    assert [branch["heads_off"] for branch in numbers["branches"]] == [[], [[5, 2]]]
    assert [branch["made_of"] for branch in numbers["branches"]] == [None, 0]
    table = saved(visit, "CSV", tmp_path).read_text("utf-8").splitlines()
    assert table[0].endswith(",weight,heads_off")
    assert table[1].endswith(",5.2")
    assert "1 head off (layer.head 5.2)" in saved(visit, "SVG", tmp_path).read_text("utf-8")
    page = saved(visit, "Standalone HTML page", tmp_path)
    assert page.name.endswith("-1-off.html")

    other = visits(visit.page.url)
    other.until(SHOWN)
    assert other.written() == text
    assert other.page.evaluate("store.run.status.off") == [[4, 1]]

    alone = visit.context.new_page()
    alone.goto(page.as_uri())
    expect(alone.locator("header")).to_contain_text("1 head off (layer.head 5.2)")
    expect(alone.locator("header")).to_contain_text("original \u203a 1 head off")
    expect(alone.get_by_role("group", name="Heads that are off")).to_contain_text("in this text")
    expect(alone.get_by_role("button", name="Rewrite")).to_have_count(0)
    alone.close()


def test_a_text_without_branches_shows_no_way_back(visit: Visit) -> None:
    assert visit.generate(prompt=PROMPT, seed=3, new_tokens=8) == text_of(3, 8)
    expect(path(visit)).to_have_count(0)
