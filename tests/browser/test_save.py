"""What one takes along: pictures, numbers, a standalone page, a link."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, expect

from .reference import engine, ids_of, text_of
from .server import App
from .visit import Visit

pytestmark = pytest.mark.browser


def saved(visit: Visit, name: str, folder: Path) -> Path:
    with visit.page.expect_download() as download:
        visit.button(name).click()
    path = folder / download.value.suggested_filename
    download.value.save_as(path)
    return path


def test_a_map_is_taken_along_and_a_link_brings_it_back(
    visits: Callable[..., Visit], app: App, browser: Browser, tmp_path: Path
) -> None:
    visit = visits(app.url, permissions=["clipboard-read", "clipboard-write"])
    text = visit.generate(seed=11, new_tokens=30)
    ids = ids_of(11, 30)
    visit.layer.select_option("3")
    visit.head.select_option("2")
    visit.until("() => store.look.head === 2 && store.missing() === null && store.roles.text")
    visit.attention.get_by_text("Save or share this map").click()
    expected = engine().attention_rows(ids[:-1], 3)[2]

    with Image.open(saved(visit, "PNG", tmp_path)) as picture:
        assert picture.size == (1896, 2048)
        assert len(picture.convert("RGB").getcolors(1 << 24) or []) > 100
    drawing = saved(visit, "SVG", tmp_path).read_text()
    assert drawing.startswith("<svg")
    assert "layer 4, head 3" in drawing
    for line in csv.DictReader(io.StringIO(saved(visit, "CSV", tmp_path).read_text("utf-8"))):
        at = int(line["query"]), int(line["key"])
        assert float(line["weight"]) == pytest.approx(expected[at], abs=0.012)
    numbers = json.loads(saved(visit, "JSON", tmp_path).read_text("utf-8"))
    assert (numbers["layer"], numbers["head"], numbers["seed"]) == (4, 3, "11")
    for i, row in enumerate(numbers["weights"]):
        np.testing.assert_allclose(row, expected[i, : i + 1], atol=0.012)
        assert sum(row) == pytest.approx(1, abs=1e-4)

    page = saved(visit, "Standalone HTML page", tmp_path)
    opens_offline(browser, page, text)
    visit.attention.get_by_label("Colour scale", exact=True).select_option("log")
    visit.attention.get_by_label("separate first token").uncheck()
    visit.page.evaluate("store.select({ query: 20, key: 4 })")
    visit.button("copy link").click()
    expect(visit.attention.get_by_text("in the link itself")).to_be_visible()
    link = visit.page.evaluate("navigator.clipboard.readText()")
    other = visits(link)
    other.until("() => store.run?.status && store.missing() === null && store.drawable > 20")
    assert other.written() == text_of(11, 30)
    assert other.page.evaluate("[store.look.layer, store.look.head]") == [3, 2]
    assert other.page.evaluate("[store.scale, store.apart]") == ["log", False]
    expect(other.attention.get_by_label("Colour scale", exact=True)).to_have_value("log")
    expect(other.attention.get_by_label("separate first token")).not_to_be_checked()
    expect(other.number("New tokens")).to_have_value("30")
    assert other.page.evaluate("store.pick") == {"query": 20, "key": 4}
    assert "map=head.4.3.log.0&row=20.4&" in other.page.url
    opens_in_the_same_tab(other, link, text_of(11, 30))


def opens_in_the_same_tab(visit: Visit, link: str, text: str) -> None:
    """A link pasted where the page is open changes no more than what stands behind the #."""
    assert visit.generate(seed=12, new_tokens=5) != text
    visit.until("(link) => location.href.split('&text=')[1] !== link.split('&text=')[1]", link)
    visit.page.evaluate("(link) => { window.before = true; location.href = link; }", link)
    visit.until("() => !window.before")
    visit.ready()
    visit.until("() => store.run?.status && store.missing() === null")
    assert visit.written() == text
    assert visit.page.url == link


def opens_offline(browser: Browser, page: Path, text: str) -> None:
    context = browser.new_context(offline=True)
    tab = context.new_page()
    errors: list[str] = []
    tab.on("pageerror", lambda error: errors.append(str(error)))
    tab.goto(page.as_uri())
    attention = tab.get_by_role("region", name="Attention")
    expect(attention.get_by_label("Head", exact=True)).to_have_value("2")
    attention.get_by_label("Layer", exact=True).select_option("0")
    expect(attention.locator("[data-part=readout]")).to_contain_text("reads most from")
    attention.get_by_label("Map", exact=True).select_option("rollout")
    expect(tab.get_by_role("application", name="Attention map, 41 rows")).to_be_visible()
    shown = tab.get_by_role("region", name="Output").get_by_role("group").inner_text()
    assert shown.split()[:20] == text.split()[:20]
    assert errors == []
    context.close()
