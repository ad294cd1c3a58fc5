"""The column beside the map: what else could have come, layer by layer, heads off, other ends."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Locator, ViewportSize, expect

from gpt2.loading import load
from gpt2.sampling import USUAL
from tests.examples import by_night

from .reference import PROMPT, one_thread
from .visit import Visit

pytestmark = pytest.mark.browser

PHONE: ViewportSize = {"width": 390, "height": 844}
PLACE = """(node) => { const { x, y, width, height } = node.getBoundingClientRect();
  return [x + scrollX, y + scrollY, width, height]; }"""


def tab(visit: Visit, name: str) -> Locator:
    return visit.attention.get_by_role("tab", name=name)


def choose_token(visit: Visit, at: int) -> None:
    visit.text.locator(f".token[data-from='{at}']").click()
    visit.until("(at) => store.pick?.query === at", at)


def panel(visit: Visit) -> Locator:
    return visit.attention.locator(".panel.open")


def written(visit: Visit, seed: int = 3, new_tokens: int = 24) -> int:
    """Write a text; how long its prompt is."""
    visit.generate(prompt=PROMPT, new_tokens=new_tokens, seed=seed)
    return int(visit.page.evaluate("store.run.status.prompt"))


def serious(visit: Visit) -> list[str]:
    found = Axe().run(visit.page).response["violations"]
    return [
        f"{each['id']}: {node['html'][:150]}"
        for each in found
        if each["impact"] in ("serious", "critical")
        for node in each["nodes"]
    ]


def test_the_tabs_are_there_before_a_token_is_chosen_and_then_nothing_moves(visit: Visit) -> None:
    expect(visit.attention.get_by_role("tab")).to_have_count(5)  # of the example
    prompt = written(visit)
    reads = visit.attention.get_by_role("table").first
    places = [visit.map, reads, visit.atlas]
    before = [node.evaluate(PLACE) for node in places]
    choose_token(visit, prompt + 4)
    assert [node.evaluate(PLACE) for node in places] == before
    for name in ("Next", "Layer", "Heads", "Token", "Reads"):
        tab(visit, name).click()
        expect(tab(visit, name)).to_have_attribute("aria-selected", "true")
        expect(panel(visit)).to_have_role("tabpanel")
        assert [node.evaluate(PLACE) for node in (visit.map, visit.atlas)] == before[::2]


def test_tabs_are_moved_through_by_arrow_keys(visit: Visit) -> None:
    choose_token(visit, written(visit) + 1)
    tab(visit, "Reads").focus()
    for key, name in (("ArrowRight", "Next"), ("End", "Token"), ("ArrowRight", "Reads")):
        visit.page.keyboard.press(key)
        expect(tab(visit, name)).to_be_focused()
        expect(tab(visit, name)).to_have_attribute("aria-selected", "true")


def test_the_next_token_tab_tells_the_models_own_probabilities(visit: Visit) -> None:
    at = written(visit) + 5
    choose_token(visit, at)
    tab(visit, "Next").click()
    expect(panel(visit)).to_contain_text("likely · rank")
    with one_thread():
        engine = load("tiny")
        ids = engine.encode(PROMPT) + engine.generate_ids(
            engine.encode(PROMPT), 24, replace(USUAL, seed=3)
        )
        choice = engine.probabilities(ids, replace(USUAL, seed=3), start_token=False).choices[at]
    assert choice
    expect(panel(visit)).to_contain_text(f"rank {choice.rank:,}")
    expect(panel(visit)).to_contain_text(f"{choice.surprisal:.1f} bits of surprise")
    expect(panel(visit)).to_contain_text(f"{choice.kept:,} of 8,192 tokens kept")
    expect(panel(visit).locator("tr.chosen")).to_have_count(1)
    rows = panel(visit).locator("tbody tr:not([hidden])")
    expect(rows).to_have_count(len(choice.likeliest) + 1)
    expect(panel(visit)).to_contain_text("temperature")
    panel(visit).get_by_role("checkbox").check()
    expect(panel(visit)).to_contain_text("Written without it")
    visit.screenshot("inspector-next")


def test_the_first_token_is_said_to_have_had_nothing_before_it(visit: Visit) -> None:
    written(visit)
    choose_token(visit, 0)
    tab(visit, "Next").click()
    expect(panel(visit)).to_contain_text("Nothing stands before the first token")
    panel(visit).get_by_role("checkbox").check()
    expect(panel(visit)).to_contain_text("likely · rank")


@pytest.mark.journey
def test_another_token_rewrites_the_text_and_undo_brings_the_original_back(visit: Visit) -> None:
    at = written(visit) + 5
    original = visit.written()
    first = visit.run_id()
    choose_token(visit, at)
    tab(visit, "Next").click()
    other = panel(visit).get_by_role("button", name=re.compile("rewrite from here")).first
    label = (other.text_content() or "").strip()
    other.focus()
    visit.page.keyboard.press("Enter")
    visit.until("(old) => store.run.id !== old", first)
    visit.finished()
    assert visit.written() != original
    kept = visit.page.evaluate("(n) => plainText(store.run.tokens.items.slice(0, n))", at)
    assert original.startswith(kept)
    path = visit.output.get_by_role("navigation", name="How this text was made")
    expect(path).to_contain_text(f"“{label}” at {at}")
    expect(panel(visit)).to_contain_text(f"“{label}” ({at})")  # one may go on choosing
    visit.screenshot("inspector-fork")
    path.get_by_role("button", name="original").click()
    visit.until("(first) => store.run.id === first", first)
    assert visit.finished() == original
    path.get_by_role("button", name="redo").click()
    visit.until("(first) => store.run.id !== first", first)
    visit.finished()
    visit.text.focus()
    visit.page.keyboard.press("Control+z")
    visit.until("(first) => store.run.id === first", first)
    assert visit.finished() == original
    assert visit.go_on(new_tokens=5).startswith(original)  # the server has gone back too


def test_layers_end_with_what_the_model_says(visit: Visit) -> None:
    at = written(visit) + 5
    choose_token(visit, at)
    tab(visit, "Layer").click()
    lines = panel(visit).locator("tbody tr:not([hidden])")
    expect(lines).to_have_count(13)
    expect(lines.last.locator("td").last).to_have_text("1")
    expect(panel(visit)).to_contain_text(re.compile("[Ss]ettles|from the start"))
    expect(panel(visit)).to_contain_text("Belrose")
    visit.screenshot("inspector-layers")


def test_heads_are_switched_off_by_key_and_the_text_is_written_without_them(visit: Visit) -> None:
    at = written(visit) + 5
    original, first = visit.written(), visit.run_id()
    choose_token(visit, at)
    bar = visit.attention.get_by_role("group", name="Heads that are off")
    expect(bar).to_have_count(0)
    visit.atlas.focus()
    visit.page.keyboard.press("Home")
    visit.page.keyboard.press("x")
    visit.page.keyboard.press("ArrowRight")
    visit.page.keyboard.press("x")
    expect(bar).to_contain_text("2 heads off")
    expect(bar).to_contain_text(re.compile(r"%.* → .*%"))
    visit.screenshot("inspector-heads-off")
    bar.get_by_role("button", name="Rewrite").click()
    visit.until("(old) => store.run.id !== old", first)
    text = visit.finished()
    off = visit.page.evaluate("store.run.status.off")
    with one_thread():
        engine = load("tiny")
        ids = engine.encode(PROMPT)
        new = engine.generate_ids(ids, 24, replace(USUAL, seed=3), off=[tuple(h) for h in off])
        assert len(off) == 2
        assert text == engine.tokenizer.decode(ids + new)
    expect(bar).to_contain_text("2 heads off in this text")
    bar.get_by_role("button", name="Restore").click()
    visit.until("(first) => store.run.id === first", first)
    assert visit.finished() == original
    expect(bar).to_have_count(0)


def test_the_text_is_shaded_by_one_thing_at_a_time(visit: Visit) -> None:
    choose_token(visit, written(visit) + 5)
    expect(visit.text.locator(".reads").first).to_be_visible()
    shade = visit.output.get_by_role("combobox", name="shade by")
    for kind, shaded in (("surprise", ".surprise"), ("rank", "[class*=band-]")):
        shade.select_option(kind)
        expect(visit.text.locator(shaded).first).to_be_visible()
        expect(visit.text.locator(".reads, .read-by")).to_have_count(0)
        expect(visit.text.locator(".selected")).to_have_count(1)
        visit.screenshot(f"inspector-{kind}")
    shade.select_option("attention")
    expect(visit.text.locator(".surprise, [class*=band-]")).to_have_count(0)
    expect(visit.text.locator(".reads").first).to_be_visible()


@pytest.mark.parametrize("theme", ["light", *by_night("dark")])
def test_axe_finds_nothing_in_any_tab(visit: Visit, theme: str) -> None:
    visit.open(f"?__theme={theme}")
    choose_token(visit, written(visit) + 5)
    for name, words in (("Next", "rank"), ("Layer", "Belrose"), ("Heads", "No head is off")):
        tab(visit, name).click()
        expect(panel(visit)).to_contain_text(words)
        assert serious(visit) == []
    panel(visit).get_by_role("button", name="Switch off").click()
    visit.output.get_by_role("combobox", name="shade by").select_option("rank")
    expect(visit.text.locator("[class*=band-]").first).to_be_visible()
    assert serious(visit) == []
    visit.screenshot(f"inspector-{theme}")


def test_on_a_phone_the_tabs_fit_under_a_thumb(visit: Visit) -> None:
    visit.page.set_viewport_size(PHONE)
    choose_token(visit, written(visit) + 5)
    for name in ("Next", "Layer", "Heads"):
        tab(visit, name).click()
        box = tab(visit, name).bounding_box()
        assert box
        assert box["height"] >= 44
        visit.screenshot(f"inspector-phone-{name}")
        assert visit.page.evaluate("document.documentElement.scrollWidth") <= 390
