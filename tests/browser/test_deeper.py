"""What the inspector shows of a chosen token, loaded then: shares, sweeps, grids, a sheet."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from playwright.sync_api import Locator, expect

from gpt2.engine import Engine
from gpt2.loading import load
from gpt2.sampling import USUAL

from .reference import PROMPT, one_thread
from .test_inspector import PHONE, PLACE, choose_token, panel, serious, tab, written
from .visit import Visit

pytestmark = pytest.mark.browser

SEED, NEW = 3, 24


def engine_and_ids() -> tuple[Engine, list[int]]:
    """The text of `written`, by an engine of our own."""
    with one_thread():
        engine = load("tiny")
        ids = engine.encode(PROMPT)
        return engine, ids + engine.generate_ids(ids, NEW, replace(USUAL, seed=SEED))


def chosen(visit: Visit, offset: int, name: str) -> int:
    """Write, choose a token of the text, open a tab; the token's place."""
    at = written(visit, SEED, NEW) + offset
    choose_token(visit, at)
    tab(visit, name).click()
    return at


def number(text: str) -> float:
    return float(text.replace("\N{MINUS SIGN}", "-"))


def picture(visit: Visit, name: str) -> Locator:
    visit.attention.get_by_role("combobox", name="Map").select_option(label=name)
    return visit.attention.locator("[data-part=picture]")


def test_what_adds_up_is_the_engines_attribution_and_sums_to_the_true_difference(
    visit: Visit,
) -> None:
    at = chosen(visit, 5, "Layer")
    visit.attention.get_by_role("button", name="what adds up").click()
    expect(panel(visit)).to_contain_text("parts sum to")
    engine, ids = engine_and_ids()
    with one_thread():
        found = engine.attribution(ids[:at], token=ids[at])
    rows = panel(visit).locator("tr.sum td")
    total, true = (number(text) for text in rows.all_text_contents())
    assert total == pytest.approx(found.true, abs=1e-4)
    assert true == pytest.approx(found.true, abs=1e-4)
    first = panel(visit).locator(".of-shares tbody tr").first
    largest = max(
        *np.abs(found.heads).ravel(), *np.abs(found.mlps), abs(found.embedding),
        abs(found.position_embedding), abs(found.final_bias),
    )  # fmt: skip
    assert abs(number(first.locator("td").inner_text())) == pytest.approx(largest, abs=0.006)
    head = panel(visit).get_by_role("button", name=re.compile(r"^layer \d, head \d$")).first
    layer, number_of = map(int, re.findall(r"\d", head.inner_text()))
    head.click()
    assert visit.page.evaluate("[store.look.layer + 1, store.look.head + 1]") == [layer, number_of]
    against = panel(visit).get_by_role("combobox", name="Held against")
    other = against.locator("option").nth(3).get_attribute("value")
    against.select_option(value=other)
    with one_thread():
        found = engine.attribution(ids[:at], token=ids[at], against=int(other or 0))
    expect(rows.last).to_have_text(re.compile(f"{abs(found.true):.3f}"))
    visit.screenshot("inspector-adds")


def test_a_sweep_ranks_every_head_and_shows_its_control(visit: Visit) -> None:
    at = chosen(visit, 5, "Heads")
    panel(visit).get_by_role("button", name="Measure").click()
    expect(panel(visit)).to_contain_text("changes nothing, exactly")
    engine, ids = engine_and_ids()
    with one_thread():
        found = engine.effects(ids[:at], ids[at])
    shares = found.probability + found.probabilities
    bits = -np.log2(shares / found.probability)
    order = np.argsort(-np.abs(bits), axis=None)[:3]
    heads = [tuple(int(i) for i in np.unravel_index(n, bits.shape)) for n in order]
    lines = panel(visit).locator(".of-shares tbody tr")
    for k, (layer, head) in enumerate(heads):
        expect(lines.nth(k)).to_contain_text(f"layer {layer + 1}, head {head + 1}")
        shown = number(lines.nth(k).locator("td").last.inner_text())
        assert shown == pytest.approx(bits[layer, head], abs=0.006)
    sign = "\N{MINUS SIGN}" if bits.sum() < 0 else "+"
    expect(panel(visit)).to_contain_text("All 24 off at once")
    expect(panel(visit)).to_contain_text(f"sum to {sign}")
    lines.first.get_by_role("button").click()
    assert visit.page.evaluate("[store.look.layer, store.look.head]") == list(heads[0])
    visit.screenshot("inspector-sweep")


def test_the_mean_stands_in_and_is_named(visit: Visit) -> None:
    chosen(visit, 5, "Heads")
    first = visit.run_id()
    panel(visit).get_by_role("combobox", name="in its place").select_option("mean")
    visit.atlas.click(button="right", position=visit.thumbnail(1, 2))
    menu = visit.page.get_by_role("menu")
    expect(menu).to_be_visible()
    expect(menu.get_by_role("menuitem").first).to_be_focused()
    visit.page.keyboard.press("Enter")
    expect(menu).to_have_count(0)
    bar = visit.attention.get_by_role("group", name="Heads that are off")
    expect(bar).to_contain_text("1 head off (mean instead)")
    expect(bar).to_contain_text(re.compile(r"%.* → .*%"))
    bar.get_by_role("button", name="Rewrite").click()
    visit.until("(old) => store.run.id !== old", first)
    text = visit.finished()
    engine, _ = engine_and_ids()
    with one_thread():
        prompt = engine.encode(PROMPT)
        means = engine.head_means(prompt, [(1, 2)])
        new = engine.generate_ids(prompt, NEW, replace(USUAL, seed=SEED), off=means)
        assert text == engine.tokenizer.decode(prompt + new).split("<|endoftext|>")[0]
    expect(bar).to_contain_text("1 head off (mean instead) in this text")


def test_a_finger_that_stays_on_a_head_opens_its_menu(visit: Visit) -> None:
    chosen(visit, 5, "Heads")
    look = visit.page.evaluate("[store.look.layer, store.look.head]")
    spot = visit.thumbnail(3, 1)
    visit.atlas.evaluate(
        """(canvas, { x, y }) => {
          const box = canvas.getBoundingClientRect();
          const at = { clientX: box.left + x, clientY: box.top + y, bubbles: true };
          canvas.dispatchEvent(new PointerEvent("pointerdown", { ...at, pointerType: "touch" }));
        }""",
        spot,
    )
    menu = visit.page.get_by_role("menu", name=re.compile("Layer 4, head 2"))
    expect(menu).to_be_visible()
    visit.page.keyboard.press("Escape")
    expect(menu).to_have_count(0)
    assert visit.page.evaluate("[store.look.layer, store.look.head]") == look


def test_the_whole_text_stands_layer_by_layer_in_the_maps_place(visit: Visit) -> None:
    at = chosen(visit, 5, "Reads")
    places = [visit.map, visit.atlas]
    before = [node.evaluate(PLACE) for node in places]
    shown = picture(visit, "Layer by layer, whole text")
    expect(shown).to_contain_text("Belrose")
    grid = shown.get_by_role("application", name=re.compile("^Guesses of 6 layers"))
    assert [node.evaluate(PLACE) for node in places] == before
    grid.focus()
    visit.page.keyboard.press("ArrowRight")  # from the last layer, at the selected token
    visit.until("(at) => store.pick.query === at", at + 1)
    engine, ids = engine_and_ids()
    with one_thread():
        lens = engine.lens(ids[:-1], halves=False)
    said = shown.locator(".grid-words")
    expect(said).to_contain_text(f"({at + 1}): ")
    guess = engine.tokenizer.decode([int(lens.guess[at, -1])]).replace(" ", "·")
    expect(said).to_contain_text("After layer 6, at")
    expect(said).to_contain_text(f"“{guess}”")
    visit.page.keyboard.press("ArrowUp")
    guess = engine.tokenizer.decode([int(lens.guess[at, -2])]).replace(" ", "·")
    expect(said).to_contain_text(f"“{guess}”")
    visit.screenshot("inspector-grid")
    visit.atlas.click(position=visit.thumbnail(1, 2))
    expect(shown).to_be_hidden()  # a head that is opened is seen
    assert [node.evaluate(PLACE) for node in places] == before


def test_two_prompts_and_one_patch(visit: Visit) -> None:
    written(visit, SEED, NEW)
    shown = picture(visit, "Two prompts, one patch")
    field = shown.get_by_role("textbox", name="Second prompt")
    expect(field).to_have_value(PROMPT)
    field.fill(PROMPT + " and")
    shown.get_by_role("button", name="Patch").click()
    expect(shown).to_contain_text("They must be as long as each other")
    other = PROMPT.replace("lived", "had")
    field.fill(other)
    field.press("Enter")
    expect(shown).to_contain_text("Control: the stream put into itself changes nothing, exactly.")
    with one_thread():
        engine = load("tiny")
        found = engine.patching(PROMPT, other)
    answer = engine.tokenizer.decode([found.answer]).replace(" ", "·")
    expect(shown).to_contain_text(f"“{answer}” over")
    grid = shown.get_by_role("application", name=re.compile("^How much of the answer comes back"))
    grid.focus()
    visit.page.keyboard.press("End")
    value = round(100 * float(found.restored[-1, -1])) / 100
    expect(shown.locator(".grid-words")).to_contain_text(f"entering layer 6: {value:g} of the")
    visit.screenshot("inspector-patch")


def test_the_token_itself(visit: Visit) -> None:
    at = chosen(visit, 5, "Token")
    engine, ids = engine_and_ids()
    data = engine.tokenizer.token_bytes(ids[at])
    expect(panel(visit)).to_contain_text(f"id {ids[at]:,} of 8,192")
    expect(panel(visit)).to_contain_text(data.hex(" "))
    number_of = engine.tokenizer.merges(ids[at]).number
    expect(panel(visit)).to_contain_text(f"Merge {number_of:,} of 7,935" if number_of else "byte")
    expect(panel(visit)).to_contain_text(f"This text is {len(ids)} tokens here")
    expect(panel(visit)).to_contain_text("in a vocabulary of 50,257")
    assert panel(visit).locator(".cut .here").count() >= 2
    visit.screenshot("inspector-token")


def test_the_sink_moves_with_the_position(visit: Visit) -> None:
    prompt = written(visit, SEED, NEW)
    at = 4
    assert at < prompt
    choose_token(visit, at)
    plain = visit.page.evaluate("[...store.row(12)]")
    switch = panel(visit).get_by_role("checkbox", name=re.compile("move the sink"))
    switch.check()
    moved = panel(visit).get_by_role("status")
    expect(moved).to_contain_text("mean over all heads")
    expect(panel(visit).get_by_role("checkbox", name=re.compile("have swapped"))).to_be_checked()
    expect(visit.attention.locator("[data-part=words]")).to_contain_text("swapped")
    choose_token(visit, 12)
    engine, ids = engine_and_ids()
    layer, head = visit.page.evaluate("[store.look.layer, store.look.head]")
    found: dict[int, np.ndarray] = {}
    with one_thread():
        engine.read(
            ids[:-1], lambda at, first, rows, norms: found.update({at: rows}), swapped=(0, at)
        )
    row = found[layer][head][12]
    top = int(row.argmax())
    expect(panel(visit).locator(".reads tbody tr").first).to_contain_text(f" {top}")
    expect(visit.attention.locator("[data-part=readout]")).to_contain_text(
        f"({top}): {round(100 * row[top])}"
    )
    visit.screenshot("inspector-sink")
    panel(visit).get_by_role("checkbox", name=re.compile("have swapped")).uncheck()
    expect(visit.attention.locator("[data-part=words]")).not_to_contain_text("swapped")
    assert visit.page.evaluate("[...store.row(12)]") == plain


def test_the_newest_token_is_followed_layer_by_layer_while_it_is_written(visit: Visit) -> None:
    choose_token(visit, written(visit, SEED, NEW) + 2)
    tab(visit, "Layer").click()
    visit.text.focus()
    visit.page.keyboard.press("Escape")
    visit.start(size="deep", prompt="The fox", new_tokens=900, seed=1)
    visit.page.evaluate(
        """() => {
          window.titles = new Set();
          const title = document.querySelector("#attention [data-part=layerstitle]");
          new MutationObserver(() => titles.add(title.textContent))
            .observe(title, { subtree: true, childList: true, characterData: true });
        }"""
    )
    visit.until(r"() => [...titles].filter((each) => /\(\d+\)/.test(each)).length >= 3")
    lines = panel(visit).locator("tbody tr:not([hidden])")
    expect(lines).to_have_count(2 * 64 + 1)
    visit.button("Stop").click()
    visit.finished()


def test_on_a_phone_a_tapped_token_opens_a_sheet_with_the_same_tabs(visit: Visit) -> None:
    visit.page.set_viewport_size(PHONE)
    at = written(visit, SEED, NEW) + 5
    sheet = visit.attention.get_by_role("dialog", name="About the selected token")
    expect(sheet).to_have_count(0)
    height = visit.page.evaluate("document.body.scrollHeight")
    choose_token(visit, at)
    expect(sheet).to_be_visible()
    assert abs(visit.page.evaluate("document.body.scrollHeight") - height) <= 1
    box, window = sheet.bounding_box(), PHONE
    assert box
    assert box["y"] + box["height"] == pytest.approx(window["height"], abs=1)
    assert box["height"] <= 0.6 * window["height"]
    token = visit.text.locator(f".token[data-from='{at}']").first.bounding_box()
    assert token
    assert 0 <= token["y"] <= box["y"]
    for name in ("Next", "Layers", "Heads", "Token", "Reads"):
        sheet.get_by_role("tab", name=name).click()
        expect(sheet.get_by_role("tab", name=name)).to_have_attribute("aria-selected", "true")
        assert visit.page.evaluate("document.documentElement.scrollWidth") <= window["width"]
        assert serious(visit) == []
        visit.screenshot(f"inspector-sheet-{name}")
    sheet.get_by_role("button", name="Close").click()
    expect(sheet).to_have_count(0)
    choose_token(visit, at - 1)
    expect(sheet).to_be_visible()
    visit.page.keyboard.press("Escape")
    expect(sheet).to_have_count(0)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_in_what_is_loaded_later(visit: Visit, theme: str) -> None:
    visit.open(f"?__theme={theme}")
    chosen(visit, 5, "Layer")
    visit.attention.get_by_role("button", name="what adds up").click()
    expect(panel(visit)).to_contain_text("parts sum to")
    assert serious(visit) == []
    tab(visit, "Heads").click()
    panel(visit).get_by_role("button", name="Measure").click()
    expect(panel(visit)).to_contain_text("changes nothing, exactly")
    assert serious(visit) == []
    tab(visit, "Token").click()
    expect(panel(visit)).to_contain_text("tokens here")
    assert serious(visit) == []
    expect(picture(visit, "Layer by layer, whole text")).to_contain_text("Belrose")
    assert serious(visit) == []
    picture(visit, "Two prompts, one patch")
    assert serious(visit) == []
