"""The two views as a reader meets them."""

import re
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from .conftest import PANEL
from .samples import attention, output, words
from .test_runs import send, settled

pytestmark = pytest.mark.browser

HOSTILE = [
    "<img src=x onerror=document.title='bad'>",
    "${document.title='bad'}",
    "{{constructor}}",
    "</span><script>document.title='bad'</script>",
    " שלום",
    "\u202egnp.exe",
    "\x00\x07",
    "\n\n",
    "  two  spaces",
    {"hex": "e280"},
    {"hex": "99"},
    {"hex": "ff"},
    {"special": "<|endoftext|>"},
]


def show(panel: Page, n: int = 12, state: str = "done") -> None:
    send(panel, output(words(n), state=state), attention(0, n - 1))
    settled(panel, n - 1, n)
    expect(panel.locator(".token")).to_have_count(n)


def test_hostile_tokens_are_only_text(panel: Page) -> None:
    send(panel, output(HOSTILE, state="done"), attention(0, 12))
    expect(panel.locator(".token")).to_have_count(12)
    text = panel.get_by_role("group", name="Text, token by token")
    expect(text).to_contain_text(HOSTILE[0])
    expect(text).to_contain_text(HOSTILE[3])
    expect(text).to_contain_text("\\u202egnp.exe\\x00\\x07\n\n  two  spaces\u2019⟨ff⟩<|endoftext|>")
    for i in range(13):
        panel.evaluate("(i) => runs.select({query: i, key: 0})", i)
    assert panel.title() == "Bench"
    assert panel.locator("#output_view img, #output_view script, #attention_view img").count() == 0


def test_a_character_of_two_tokens_is_one_span_once_it_is_whole(panel: Page) -> None:
    send(panel, output(["It", {"hex": "e280"}]))
    expect(panel.locator(".token.chip")).to_have_text("⟨e2 80⟩")
    send(panel, output([{"hex": "99"}, "s"], start=2))
    expect(panel.locator(".token")).to_have_text(["It", "\u2019", "s"])


def test_spans_are_appended_and_never_made_again(panel: Page) -> None:
    show(panel, 6, "running")
    panel.evaluate("window.first = document.querySelector('.token')")
    for n in range(6, 60):
        send(panel, output([f" w{n}"], start=n), attention(n - 1, n))
    expect(panel.locator(".token")).to_have_count(60)
    assert panel.evaluate("window.first === document.querySelector('.token')")


def test_the_panels_keep_their_height_while_text_streams(panel: Page) -> None:
    heights = "['.output', '.figure'].map((s) => document.querySelector(s).offsetHeight)"
    show(panel, 6, "running")
    before = panel.evaluate(heights)
    send(panel, output(words(400)[6:], start=6), attention(5, 399))
    expect(panel.locator(".token")).to_have_count(400)
    assert panel.evaluate(heights) == before


def test_numbers_and_state_are_in_words(panel: Page) -> None:
    show(panel)
    region = panel.get_by_role("region", name="Output")
    for words_ in ("10 of 40 new tokens", "412 tokens/s", "first token 0.03 s", "seed 1234"):
        expect(region).to_contain_text(words_)
    expect(region.get_by_role("status")).to_have_text("Done.")
    full = "The context is full: 1,024 tokens."
    send(panel, output([], start=12, state="stopped", note=full))
    expect(region.get_by_role("status")).to_have_text(full)


def test_progress_is_read_aloud_once(panel: Page) -> None:
    status = panel.get_by_role("region", name="Output").get_by_role("status")
    send(panel, output([], state="loading", note="10 of 548 MB"))
    expect(status).to_have_attribute("aria-live", "polite")
    send(panel, output([], state="loading", note="20 of 548 MB"))
    expect(status).to_have_text("20 of 548 MB")
    expect(status).to_have_attribute("aria-live", "off")
    send(panel, output([], state="error", note="The hub did not answer."))
    expect(status).to_have_attribute("aria-live", "polite")


def test_a_word_in_the_text_is_a_row_in_the_map(panel: Page) -> None:
    show(panel)
    panel.get_by_text("w7", exact=True).first.click()
    panel.mouse.move(5, 5)
    assert panel.evaluate("runs.selection") == {"query": 7, "key": None, "follows": False}
    expect(panel.locator(".token.selected")).to_have_text("w7")
    expect(panel.locator(".readout")).to_have_text('"·w7" (7) reads most from "·w6" (6): 0.64')
    table = panel.get_by_role("table", name='"·w7" (7) reads from')
    expect(table.get_by_role("row").nth(1)).to_have_text(re.compile("·w6 6.*0.64"))
    expect(panel.get_by_text("36 % of this row rests on the first token")).to_be_visible()
    panel.get_by_role("button", name="list it too").click()
    expect(table.get_by_role("row").nth(2)).to_have_text(re.compile("·w0 0.*0.36"))
    expect(panel.locator(".token.read-by")).to_have_text("w8")


def test_the_map_is_worked_by_keys_and_escape_follows_again(panel: Page) -> None:
    show(panel)
    atlas = panel.get_by_role("application")
    atlas.focus()
    atlas.press("ArrowUp")
    atlas.press("ArrowLeft")
    live = panel.locator("[data-part=live]")
    expect(live).to_have_text('"·w9" (9) reads "·w8" (8): 0.64')
    atlas.press("Home")
    expect(live).to_have_text('"·w9" (9) reads "·w0" (0): 0.36')
    atlas.press("Escape")
    expect(live).to_have_text("Following the newest row")
    assert panel.evaluate("runs.selection.query") == 10


def test_the_map_is_worked_by_the_mouse(panel: Page) -> None:
    show(panel)
    panel.get_by_role("application").scroll_into_view_if_needed()
    box = panel.get_by_role("application").bounding_box()
    assert box is not None
    cell = (box["width"] - 63) / 11
    panel.mouse.move(box["x"] + 62 + 2.5 * cell, box["y"] + 62 + 8.5 * cell)
    expect(panel.locator(".readout")).to_have_text('"·w8" (8) reads "·w2" (2): 0.00')
    panel.mouse.move(box["x"] + 62 + 9.5 * cell, box["y"] + 62 + 8.5 * cell)
    expect(panel.locator(".readout")).to_contain_text("cannot see")
    panel.mouse.move(5, 5)
    assert panel.evaluate("runs.selection.follows")


def test_text_keys_walk_from_token_to_token(panel: Page) -> None:
    show(panel)
    text = panel.get_by_role("group", name="Text, token by token")
    text.focus()
    text.press("ArrowLeft")
    expect(panel.locator(".token.selected")).to_have_text("w10")
    text.press("Home")
    expect(panel.locator(".token.selected")).to_have_text("w0")


def test_every_head_has_its_button(panel: Page) -> None:
    show(panel)
    first, second = (panel.get_by_role("button", name=f"Head {i}") for i in (1, 2))
    expect(first).to_have_attribute("aria-pressed", "true")
    second.click()
    expect(second).to_have_attribute("aria-pressed", "true")
    expect(panel.get_by_label("Head", exact=True)).to_have_value("1")


def test_the_map_is_drawn_in_both_themes(panel: Page) -> None:
    show(panel)
    corner = """() => {
      const canvas = document.querySelector('[data-part=map]');
      return [...canvas.getContext('2d').getImageData(68, 68, 1, 1).data];
    }"""
    panel.wait_for_timeout(100)
    assert panel.evaluate(corner) == [0x09, 0x2C, 0x58, 255]
    panel.evaluate("document.body.classList.add('dark')")
    panel.wait_for_timeout(100)
    assert panel.evaluate(corner) == [0xFA, 0xE0, 0x82, 255]


def test_copy_falls_back_and_save_keeps_the_text(panel: Page) -> None:
    send(panel, output([{"special": "<|endoftext|>"}, "It", {"hex": "e280"}, {"hex": "99"}, "s\n"]))
    expect(panel.locator(".token")).to_have_count(4)
    with panel.expect_download() as download:
        panel.get_by_role("button", name="save").click()
    assert download.value.suggested_filename == "gpt2-a.txt"
    assert download.value.path().read_text() == "It\u2019s\n"
    panel.get_by_role("button", name="copy").click()
    expect(panel.get_by_role("button", name="copied")).to_be_visible()


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [1360, 390])
def test_axe_finds_nothing(panel: Page, width: int, dark: bool) -> None:
    panel.set_viewport_size({"width": width, "height": 844})
    if dark:
        panel.evaluate("document.body.classList.add('dark')")
    show(panel)
    panel.evaluate("runs.select({query: 8, key: 7})")
    panel.wait_for_timeout(300)
    found = Axe().run(panel).response["violations"]
    assert [(v["id"], [node["html"] for node in v["nodes"]]) for v in found] == []
    assert panel.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("path", sorted(PANEL.glob("*.*")), ids=lambda path: path.name)
def test_files_hold_what_the_page_allows(path: Path) -> None:
    source = path.read_text()
    assert not re.search(r"https?://|(inner|outer|insertAdjacent)HTML|document\.write", source)
    if path.suffix != ".js":  # Gradio fills html and css in as templates
        assert not re.search(r"\{\{|\$\{|`|\\", source)
