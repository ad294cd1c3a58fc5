"""The Compare tab: columns together, one noise, the strip, what comes next, the figures."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import expect

from gpt2.loading import load
from gpt2.sampling import USUAL
from gpt2.scoring import score
from tests.examples import by_night

from .comparing import Comparing
from .reference import PROMPT, one_thread, text_of
from .server import App
from .test_accessibility import check
from .visit import Visit

pytestmark = pytest.mark.browser


# Whether each point lies within its range: an upright line with an end above and one below.
RANGES = """(lines) => {
  const number = (line, name) => Number(line.getAttribute(name));
  const points = [...lines[0].ownerSVGElement.querySelectorAll("circle")];
  return points.map((point, k) => {
    const [upright, top, bottom] = lines.slice(3 * k, 3 * k + 3);
    const y = number(point, "cy");
    return number(upright, "y1") < number(upright, "y2")
      && number(top, "y1") === number(upright, "y1") && number(top, "y1") <= y
      && number(bottom, "y1") === number(upright, "y2") && number(bottom, "y1") >= y;
  });
}"""


@pytest.fixture
def tab(visit: Visit) -> Comparing:
    return Comparing(visit)


@pytest.mark.journey
def test_a_comparison_from_the_click_to_the_figures(tab: Comparing, deep: Path) -> None:
    tab.choose("Tiny", "deep", new_tokens=40)
    tab.seed(3)
    expect(tab.memory).to_have_text(re.compile(r"^Memory: Tiny \d+ MB \+ deep \d+ MB = \d+ MB of"))
    tab.start()
    tab.finish()
    assert tab.text(0) == text_of(3, 40)
    with one_thread():
        other = load(str(deep))
        expected = other.complete(PROMPT, replace(USUAL, seed=3), 40)
        bits = {"Tiny": score(load("tiny"), PROMPT), "deep": score(other, PROMPT)}
    assert tab.text(1) == PROMPT + expected
    assert tab.store(0, "runs.missing() === null && runs.drawable > 40")
    for at in (0, 1):
        expect(tab.columns.nth(at)).to_contain_text(re.compile(r"\d+\sMB of memory"))
        expect(tab.columns.nth(at)).to_contain_text("seed 3")
        expect(tab.columns.nth(at)).to_contain_text(re.compile(r"first token \d\.\d\d s"))
    expect(tab.columns.locator(".parted")).to_have_count(2)
    expect(tab.columns.nth(1)).to_contain_text(
        re.compile("Diverges from Tiny (at the first token|after)")
    )
    for title, found in bits.items():
        expect(tab.surprise).to_contain_text(f"{title} {found.bits_per_byte:.4f} bits per byte")
    # A speed from 40 tokens is a range: in the table, and as a bar of three lines in the plot.
    speed = tab.figures.get_by_role("columnheader").all_inner_texts().index("Tokens/s")
    for at in (1, 2):
        cells = tab.figures.get_by_role("row").nth(at).locator("th, td")
        expect(cells.nth(speed)).to_have_text(re.compile(r"^\d+(\.\d)? ± \d+(\.\d)?$"))
    assert tab.figures.locator("svg .range").evaluate_all(RANGES) == [True, True]
    row = tab.figures.get_by_role("row").nth(1)
    assert row.get_by_role("cell").all_inner_texts()[:5] == ["2.3 M", "6", "4", "128", "5\u00a0MB"]
    tab.visit.screenshot("compare")


def test_the_columns_grow_together_and_one_stop_stops_all(tab: Comparing) -> None:
    tab.choose("Tiny", "deep", new_tokens=1000)
    tab.seed(1)  # with which Tiny writes on to the end of its context
    tab.page.evaluate(
        """() => {
          window.gaps = [];
          window.fewest = 0; // tokens of the column that has fewer
          const made = () => [...document.querySelectorAll("#compare-columns [data-part=made]")]
            .map((node) => Number(node.textContent) || 0);
          new MutationObserver(() => {
            const [a, b] = made();
            if (a && b) gaps.push(Math.abs(a - b));
            fewest = Math.min(a, b);
          }).observe(document.querySelector("#compare-columns"),
            { subtree: true, childList: true, characterData: true });
        }"""
    )
    tab.start()
    tab.visit.until("() => window.fewest > 8")
    tab.button("Stop").click()  # before Tiny is at the end of its context, on a busy machine too
    tab.finish("Stopped")
    # Each column is drawn with what its own frame brings: a few tokens where the page is busy.
    assert max(tab.page.evaluate("gaps")) <= 8
    counts = [int(tab.store(at, "run.tokens.ready - run.status.prompt")) for at in (0, 1)]  # type: ignore[call-overload]  # numbers come as objects
    assert abs(counts[0] - counts[1]) <= 1
    assert 8 < counts[0] < 490


def test_the_numbers_of_the_last_comparison_go_with_its_texts(tab: Comparing) -> None:
    tab.choose("Tiny", "deep", new_tokens=5)
    tab.start()
    tab.finish()
    made = tab.columns.nth(0).locator("[data-part=made]")
    expect(made).to_have_text("5")
    expect(tab.surprise.locator(".piece[data-at]").first).to_be_visible()
    tab.choose("Tiny", "deep", prompt="word " * 600)
    tab.button("Compare").click()
    expect(tab.columns.nth(0)).to_contain_text("Shorten it by")
    expect(made).to_have_text("\N{EN DASH}")
    expect(tab.surprise.locator(".piece[data-at]")).to_have_count(0)
    expect(tab.surprise.get_by_role("heading", name="Next token")).to_be_hidden()


def test_where_texts_part_is_shown_in_both(tab: Comparing) -> None:
    tab.choose("Tiny", "deep", new_tokens=160)
    tab.seed(3)
    tab.start()
    tab.finish()
    in_sight = """(mark) => {
      const [box, text] = [mark, mark.closest("[data-part=text]")]
        .map((node) => node.getBoundingClientRect());
      return box.top >= text.top && box.bottom <= text.bottom;
    }"""
    marks = tab.columns.locator(".parted")
    expect(marks).to_have_count(2)
    assert not any(marks.nth(at).evaluate(in_sight) for at in (0, 1))  # the end is
    tab.columns.nth(1).get_by_role("button", name=re.compile("^(Diverges|Continues|Ends)")).click()
    assert all(marks.nth(at).evaluate(in_sight) for at in (0, 1))


def test_a_small_map_opens_the_full_one_and_closes_it(tab: Comparing) -> None:
    tab.choose("Tiny", "deep", new_tokens=12)
    tab.start()
    tab.finish()
    small = tab.columns.nth(0).get_by_role("button", name=re.compile("^Attention, layer"))
    expect(small).to_have_attribute("aria-expanded", "false")
    small.click()
    full = tab.page.get_by_role("region", name="Attention", exact=True).filter(visible=True)
    panel = tab.page.locator(".full-panel")
    expect(panel.get_by_role("heading", level=2)).to_have_text(["Attention of Tiny"])
    rows = int(tab.store(0, "runs.drawable"))  # type: ignore[call-overload]  # numbers come as objects
    map_of_it = full.get_by_role("application", name=re.compile("^Attention map"))
    expect(map_of_it).to_have_attribute("aria-label", re.compile(rf"\b{rows} rows"))
    full.get_by_role("combobox", name="Layer", exact=True).select_option("5")
    tab.page.get_by_role("button", name="close", exact=True).click()
    expect(full).to_be_hidden()
    expect(small).to_be_focused()


def test_what_comes_next_at_the_cursor(tab: Comparing) -> None:
    tab.choose("Tiny", "deep", new_tokens=5)
    tab.start()
    tab.finish()
    tables = tab.surprise.get_by_role("table")
    expect(tables).to_have_count(2)
    rows = tables.nth(0).locator("tbody").get_by_role("row")
    expect(rows).to_have_count(11)
    pieces = tab.surprise.locator(".strip .piece[data-at]")
    pieces.nth(3).click()
    expect(tab.surprise).to_contain_text("before “·time”")
    first = rows.first
    expect(first).to_contain_text("·time written")
    keys = "(rows) => rows.map((row) => row.dataset.key)"
    mine, theirs = (tables.nth(at).locator("tbody tr").evaluate_all(keys) for at in (0, 1))
    rows.nth(next(at for at, key in enumerate(mine) if key in theirs)).hover()
    for at in (0, 1):
        expect(tables.nth(at).locator("tr.lit")).to_have_count(1)
    warm = first.inner_text()
    field = tab.page.get_by_role("spinbutton", name="number input for Temperature").filter(
        visible=True
    )
    field.fill("0")
    field.press("Tab")
    expect(first).to_contain_text("→ 100 %")
    assert first.inner_text() != warm
    tab.surprise.locator(".strip").press("Home")
    expect(tab.surprise).to_contain_text("before “Once”")


def test_any_text_can_be_scored(tab: Comparing) -> None:
    tab.choose("Tiny", "deep")
    hostile = "<img src=x onerror=alert(1)> ${alert(1)} {{x}}"
    tab.surprise.get_by_role("combobox", name="Text").select_option("pasted")
    tab.surprise.get_by_role("textbox", name="Your text").fill(hostile)
    tab.surprise.get_by_role("button", name="Score").click()
    with one_thread():
        expected = score(load("tiny"), hostile)
    expect(tab.surprise).to_contain_text(f"Tiny {expected.bits_per_byte:.4f} bits per byte")
    assert "".join(tab.surprise.locator(".strip .text").all_inner_texts()).startswith("<img·src")
    tab.surprise.get_by_role("textbox", name="Your text").fill("x " * 600)
    tab.surprise.get_by_role("button", name="Score").click()
    expect(tab.surprise).to_contain_text("Tiny: The text has 601 tokens and this model reads at")


def test_the_figures_as_files(tab: Comparing, tmp_path: Path) -> None:
    tab.choose("Tiny", "deep", new_tokens=5)
    tab.start()
    tab.finish()
    expect(tab.figures.locator("svg")).to_have_count(2)
    saved = {}
    for name in ("CSV", "JSON", "picture"):
        with tab.page.expect_download() as download:
            tab.figures.get_by_role("button", name=name, exact=True).click()
        saved[name] = tmp_path / name
        download.value.save_as(saved[name])
    rows = json.loads(saved["JSON"].read_text())
    assert [row["title"] for row in rows] == ["Tiny", "deep"]
    with saved["CSV"].open() as file:
        table = list(csv.DictReader(file))
    assert [float(row["bits_per_byte"]) for row in table] == [r["bits_per_byte"] for r in rows]
    assert saved["picture"].read_text().startswith("<svg")


def test_a_wish_that_cannot_be_loses_nothing(tab: Comparing) -> None:
    tab.choose("Tiny", "deep", new_tokens=5)
    tab.start()
    tab.finish()
    before = tab.text(0)
    tab.choose("Tiny")
    tab.button("Compare").click()
    expect(tab.page.locator("#compare-columns .general")).to_have_text(
        "Choose 2 to 4 different sizes under Sizes, not tiny."
    )
    assert tab.text(0) == before


@pytest.mark.parametrize("theme", ["light", *by_night("dark")])
def test_axe_finds_nothing_before_midway_and_after(visit: Visit, theme: str) -> None:
    visit.open(f"?__theme={theme}")
    tab = Comparing(visit)
    check(visit, "start")
    tab.choose("Tiny", "deep", new_tokens=400)
    tab.seed(3)
    tab.start()
    expect(tab.columns.locator(".parted")).to_have_count(2)
    visit.screenshot(f"compare-midway-{theme}")
    expect(tab.notes.nth(1)).to_have_text("Writing.")
    check(visit, "midway")  # which may take longer than the rest of the text: nobody presses Stop
    tab.finish("context is full|Done|itself")
    tab.surprise.get_by_role("button", name="Score").click()
    expect(tab.surprise.get_by_role("table")).to_have_count(2)
    tab.columns.nth(0).get_by_role("button", name=re.compile("^Attention, layer")).click()
    check(visit, "after, with the full map")
    visit.screenshot(f"compare-{theme}")


def test_on_a_phone_nothing_is_wider_than_the_screen(
    visits: Callable[..., Visit], app: App
) -> None:
    phone = visits(app.url, viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    tab = Comparing(phone)
    tab.choose("Tiny", "deep", new_tokens=10)
    tab.start()
    tab.finish()
    expect(tab.figures).to_be_visible()
    assert phone.page.evaluate("document.documentElement.scrollWidth") <= 390
    boxes = [tab.columns.nth(at).bounding_box() for at in (0, 1)]
    assert boxes[0]
    assert boxes[1]
    assert boxes[1]["y"] >= boxes[0]["y"] + boxes[0]["height"]
    # Every line of the strip says whose rows it holds, and no number sticks out of its table.
    expect(tab.surprise.locator(".piece").first).to_be_visible()
    tops = "(nodes) => [...new Set(nodes.map((node) => node.offsetTop))]"
    lines = tab.surprise.locator(".piece").evaluate_all(tops)
    assert len(lines) > 1
    assert tab.surprise.locator(".names").evaluate_all(tops) == lines
    numbers = tab.surprise.locator(".numbers")
    expect(numbers).to_have_count(22)
    assert numbers.evaluate_all("(cells) => cells.every((c) => c.scrollWidth <= c.clientWidth)")
    check(phone, "after")
    phone.screenshot("compare-phone")
