"""Nothing jumps, nothing ends without a sign, and what is saved says what it is."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from .comparing import Comparing
from .server import App
from .visit import Visit

pytestmark = pytest.mark.browser


def test_hovering_moves_nothing(visit: Visit) -> None:
    visit.page.set_viewport_size({"width": 1280, "height": 800})
    visit.generate(new_tokens=60, seed=1)
    visit.until("() => store.roles.text?.n === store.run.rowCount && store.drawable > 60")
    tops = set()
    for query in range(0, 70, 3):
        for key in (None, query // 2):
            visit.page.evaluate("([query, key]) => store.point({ query, key })", [query, key])
            visit.page.evaluate("() => new Promise((done) => setTimeout(done, 30))")
            tops.add(round(visit.atlas.bounding_box()["y"]))
    assert len(tops) == 1


def test_a_long_map_names_the_selected_row_and_what_it_reads_most(visit: Visit) -> None:
    visit.generate(new_tokens=120, seed=1)
    drawn = visit.page.evaluate(
        """async () => {
          const { drawn } = window;
          const { markLabels } = await import(new URL("panel/map_labels.js", document.baseURI));
          const { viewOf } = await import(new URL("panel/map_panel.js", document.baseURI));
          const { whole } = await import(new URL("panel/viewport.js", document.baseURI));
          const { readTheme } = await import(new URL("panel/theme.js", document.baseURI));
          const canvas = document.createElement("canvas");
          const c = canvas.getContext("2d");
          const words = [];
          c.fillText = (text) => words.push(text);
          store.select({ query: 100, key: null });
          const size = store.drawable;
          const theme = readTheme(document.querySelector("#attention .stage"));
          const view = viewOf(store, whole(size), size, 600, theme);
          const plan = geometry.planOf(600, view.window, store.splits);
          markLabels(c, plan, view);
          const [first] = (await import(new URL("panel/reading.js", document.baseURI)))
            .strongest(store.shownRow(100), 1, plan.shift);
          return { labelled: plan.labelled, words, first: first.index };
        }"""
    )
    assert not drawn["labelled"]
    assert re.search(r"\D+ 100$", drawn["words"][0])  # the row, in words
    assert drawn["words"][1].endswith(f" {drawn['first']}")
    assert len(drawn["words"][1]) > len(f" {drawn['first']}")


def test_every_layer_can_be_seen(visits: Callable[..., Visit], app: App) -> None:
    visit = visits(app.url)
    visit.generate(size="deep", new_tokens=3, seed=1)  # 64 layers
    visit.until("() => store.run.atlas.count > 0")
    scroll = visit.attention.locator("[data-part=scroll]")
    expect(scroll).to_be_visible()
    visit.until(
        """() => {
          const scroll = document.querySelector("#attention [data-part=scroll]");
          return scroll.scrollHeight === scroll.clientHeight && scroll.clientHeight > 64 * 20;
        }"""
    )
    visit.atlas.focus()
    for _ in range(70):
        visit.page.keyboard.press("ArrowDown")
    visit.until("store.look.layer === 63")
    box = visit.atlas.bounding_box()
    assert box["y"] + box["height"] <= 900 + 2  # the last one is in view


def test_saved_maps_say_what_they_are(
    visits: Callable[..., Visit], app: App, browser: Browser, tmp_path: Path
) -> None:
    visit = visits(app.url)
    visit.generate(new_tokens=5, seed=7)
    visit.layer.select_option("4")
    visit.head.select_option("3")
    visit.until("() => store.look.head === 3 && store.missing() === null")
    visit.attention.get_by_text("Save or share this map").click()
    names = {}
    for way in ("PNG", "SVG", "Standalone HTML page"):
        with visit.page.expect_download() as download:
            visit.button(way).click()
        names[way] = download.value.suggested_filename
        download.value.save_as(tmp_path / names[way])
    assert list(names.values()) == [
        f"tiny-seed7-layer5-head4.{ending}" for ending in ("png", "svg", "html")
    ]
    drawing = (tmp_path / names["SVG"]).read_text()
    assert "layer 5, head 4 · GPT-2 tiny, seed 7 · 16 tokens" in drawing
    context = browser.new_context(offline=True)
    tab = context.new_page()
    tab.goto((tmp_path / names["Standalone HTML page"]).as_uri())
    expect(tab.get_by_role("heading", level=1)).to_contain_text("layer 5, head 4 · GPT-2 tiny")
    expect(tab).to_have_title(re.compile("layer 5, head 4"))
    expect(tab.get_by_role("link", name="GPT-2, from scratch")).to_have_attribute("href", app.url)
    context.close()


def test_compare_says_what_it_does(visits: Callable[..., Visit], app: App) -> None:
    visit = visits(app.url)
    tab = Comparing(visit)
    stop = visit.page.locator("#compare-stop")
    expect(stop).to_have_attribute("aria-disabled", "true")
    expect(tab.status).to_have_text("Compare · nothing written yet")
    tab.choose("Tiny", "Mini", new_tokens=400)
    visit.button("Compare").click()
    expect(tab.status).to_have_text("Tiny, Mini · comparing")
    expect(stop).to_have_attribute("aria-disabled", "false")
    stop.click()
    expect(stop).to_have_attribute("aria-disabled", "true")
    expect(tab.status).to_have_text("Tiny, Mini · stopped")
    expect(visit.status).to_be_hidden()
    # The other tab speaks of its own model, as if nothing had been compared.
    visit.page.get_by_role("tab", name="Generate", exact=True).click()
    expect(visit.status).to_have_text(re.compile("^Tiny · float32 · "))
    expect(tab.status).to_be_hidden()
