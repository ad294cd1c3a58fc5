"""The two views as a reader meets them."""

import re
import time
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Locator, Page, expect

from gpt2.ui.page.assets import panel_files
from tests.chromium import drawn

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
    expect(panel.locator(".token[data-from]")).to_have_count(n)


def map_of(panel: Page) -> Locator:
    return panel.get_by_role("application", name=re.compile("^Attention map"))


def test_hostile_tokens_are_only_text(panel: Page) -> None:
    send(panel, output(HOSTILE, state="done"), attention(0, 12))
    expect(panel.locator(".token[data-from]")).to_have_count(12)
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
    expect(panel.locator(".token[data-from].chip")).to_have_text("⟨e2 80⟩")
    send(panel, output([{"hex": "99"}, "s"], start=2))
    expect(panel.locator(".token[data-from]")).to_have_text(["It", "\u2019", "s"])


def test_spans_are_appended_and_never_made_again(panel: Page) -> None:
    show(panel, 6, "running")
    panel.evaluate("window.first = document.querySelector('.token[data-from]')")
    for n in range(6, 60):
        send(panel, output([f" w{n}"], start=n), attention(n - 1, n))
    expect(panel.locator(".token[data-from]")).to_have_count(60)
    assert panel.evaluate("window.first === document.querySelector('.token[data-from]')")


def test_the_panels_keep_their_height_while_text_streams(panel: Page) -> None:
    heights = "['.output', '.figure'].map((s) => document.querySelector(s).offsetHeight)"
    show(panel, 6, "running")
    before = panel.evaluate(heights)
    send(panel, output(words(400)[6:], start=6), attention(5, 399))
    expect(panel.locator(".token[data-from]")).to_have_count(400)
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


def test_the_numbers_stand_still_while_they_grow(panel: Page) -> None:
    show(panel, 7, "running")
    lefts = """async () => {
      await new Promise((done) => setTimeout(done, 250));
      const part = (name) => document.querySelector(`[data-part=${name}]`);
      const left = (name) => part(name).getBoundingClientRect().left;
      return [left("made") - left("note"), left("speed")];
    }"""
    before = panel.evaluate(lefts)
    assert before[0] == 0
    send(panel, output(words(42)[7:], start=7, state="done"))
    expect(panel.get_by_text("40 of 40 new tokens")).to_be_visible()
    assert panel.evaluate(lefts) == pytest.approx(before, abs=0.01)


def test_what_is_unknown_of_a_text_that_was_put_back_is_not_said(panel: Page) -> None:
    message = output(words(4), state="stopped")
    message["stats"] |= {"limit": None, "speed": None, "first": None}
    send(panel, message)
    stats = panel.locator(".stats")
    expect(stats).to_have_text("2 new tokens seed 1234", use_inner_text=True)
    send(panel, output([" more"], start=4))
    expect(stats.get_by_text("tokens/s")).to_be_visible()


def test_an_end_that_is_told_again_does_not_hide_a_later_complaint(panel: Page) -> None:
    done = output(words(4), state="done")
    complaint = {"run": None, "state": "error", "note": "Seed is no number."}
    send(panel, done, attention(0, 3), complaint, done)
    note = panel.get_by_role("region", name="Output").get_by_role("status")
    expect(note).to_have_text("Seed is no number.")
    panel.evaluate("async () => (await import('/fetched.js')).asked()")
    send(panel, output([" more"], start=4))
    expect(note).to_have_text("Writing.")


def test_a_complaint_stands_over_a_text_that_is_being_written(panel: Page) -> None:
    note = panel.get_by_role("region", name="Output").get_by_role("status")
    complaint = {"run": None, "state": "error", "note": "Seed is no number."}
    send(panel, output(words(4)), complaint, output([" on"], start=4))
    assert note.text_content() == "Seed is no number."
    expect(panel.locator(".token[data-from]")).to_have_count(5)
    panel.evaluate("async () => (await import('/fetched.js')).stopped()")
    assert note.text_content() == "Writing."
    sent = time.monotonic()
    send(panel, complaint, output([], start=5, state="done"))
    assert note.text_content() == "Seed is no number."
    expect(note).to_have_text("Done.", timeout=10_000)
    assert time.monotonic() - sent > 4.5, "it could be read"


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
    expect(panel.locator(".token[data-from].selected")).to_have_text("w7")
    expect(panel.locator(".readout")).to_have_text(
        "“·w7” (7) reads most from “·w6” (6): 64\u00a0% (100\u00a0% without the first token)"
    )
    table = panel.get_by_role("table", name="“·w7” (7) reads from")
    expect(table.get_by_role("row").nth(1)).to_have_text(re.compile("·w6 6.*100\u00a0%"))
    expect(panel.get_by_text("36 % goes to the first token")).to_be_visible()
    expect(panel.get_by_text("split the remaining 64 %")).to_be_visible()
    panel.get_by_role("checkbox", name="separate first token").uncheck()
    expect(panel.locator(".readout")).to_have_text("“·w7” (7) reads most from “·w6” (6): 64\u00a0%")
    expect(table.get_by_role("row").nth(1)).to_have_text(re.compile("·w6 6.*64\u00a0%"))
    expect(table.get_by_role("row").nth(2)).to_have_text(re.compile("·w0 0.*36\u00a0%"))
    expect(panel.locator(".token[data-from].read-by")).to_have_text("w8")


def test_the_heading_of_the_list_cuts_a_long_token_and_not_its_place(panel: Page) -> None:
    long = f" {'incomprehensible' * 9}"
    send(panel, output([*words(120), long, " end"], state="done"), attention(0, 121))
    settled(panel, 121, 122)
    panel.evaluate("runs.select({ query: 120, key: null })")
    expect(panel.locator(".reads caption")).to_contain_text("(120) reads from")
    cut, whole, table, side = panel.evaluate(
        """() => {
          const part = (name) => document.querySelector(`[data-part=${name}]`);
          const right = (node) => Math.round(node.getBoundingClientRect().right);
          return [part("caption").scrollWidth > part("caption").clientWidth,
            part("place").scrollWidth === part("place").clientWidth,
            Math.max(right(part("reads")), right(part("place"))),
            right(part("reads").parentElement)];
        }"""
    )
    assert (cut, whole) == (True, True)
    assert table <= side


def test_beside_a_narrow_map_places_stay_whole_and_so_do_everyday_words(panel: Page) -> None:
    panel.evaluate("document.querySelector('.side').style.maxWidth = '13rem'")
    tokens = [*words(120), {"special": "<|endoftext|>"}, " everything", " end"]
    send(panel, output(tokens, state="done"), attention(0, 122))
    settled(panel, 122, 123)
    panel.evaluate("runs.select({ query: 121, key: null })")
    table = panel.get_by_role("table", name="“·everything” (121) reads from")
    expect(table.get_by_role("row").nth(1)).to_have_text(re.compile("<.endoftext.> 120"))
    cut = """(nodes) => nodes.filter((node) => node.scrollWidth > node.clientWidth)
      .map((node) => node.textContent)"""
    assert table.locator(".heading span").evaluate_all(cut) == []
    assert table.locator("th[scope=row] bdi").evaluate_all(cut) == ["<|endoftext|>"]
    place, bar = (table.locator(part).first.bounding_box() for part in (".index", ".meter"))
    assert place and bar
    assert place["x"] + place["width"] + 4 < bar["x"]


def test_the_map_is_worked_by_keys_and_escape_follows_again(panel: Page) -> None:
    show(panel)
    atlas = map_of(panel)
    atlas.focus()
    atlas.press("ArrowUp")
    atlas.press("ArrowLeft")
    live = panel.locator("[data-part=live]")
    expect(live).to_have_text(
        "“·w9” (9) reads “·w8” (8): 64\u00a0% (100\u00a0% without the first token)"
    )
    atlas.press("Home")
    expect(live).to_have_text("“·w9” (9) reads “·w0” (0): 36\u00a0%")
    atlas.press("Escape")
    expect(live).to_have_text("Following the newest row")
    assert panel.evaluate("runs.selection.query") == 10


def test_the_map_is_worked_by_the_mouse(panel: Page) -> None:
    show(panel)
    map_of(panel).scroll_into_view_if_needed()
    box = map_of(panel).bounding_box()
    assert box is not None
    top = 84
    left = top + 22 + 4  # labels, the first token's strip, a gap; columns begin with token 1
    cell = (box["width"] - left - 1) / 11
    panel.mouse.move(box["x"] + left + 1.5 * cell, box["y"] + top + 8.5 * cell)
    expect(panel.locator(".readout")).to_have_text("“·w8” (8) reads “·w2” (2): 0\u00a0%")
    panel.mouse.move(box["x"] + left + 8.5 * cell, box["y"] + top + 8.5 * cell)
    expect(panel.locator(".readout")).to_contain_text("cannot see")
    panel.mouse.move(5, 5)
    assert panel.evaluate("runs.selection.follows")


def test_text_keys_walk_from_token_to_token(panel: Page) -> None:
    show(panel)
    text = panel.get_by_role("group", name="Text, token by token")
    text.focus()
    text.press("ArrowLeft")
    expect(panel.locator(".token[data-from].selected")).to_have_text("w10")
    text.press("Home")
    expect(panel.locator(".token[data-from].selected")).to_have_text("w0")


def atlas_of(panel: Page) -> Locator:
    return panel.get_by_role("application", name=re.compile("^Atlas of all heads"))


def test_a_token_chosen_elsewhere_comes_into_sight(panel: Page) -> None:
    """The text is scrolled to it, the page is not."""
    send(panel, output(words(600), state="done"))
    text = panel.locator("#output_view .text")
    expect(text.locator(".token")).to_have_count(600)
    for query in (5, 590, 300):
        page, top, bottom, room = panel.evaluate(
            """(query) => {
              runs.select({ query, key: null });
              const text = document.querySelector("#output_view .text");
              const { offsetTop: top, offsetHeight: high } =
                text.querySelector(`[data-from="${query}"]`);
              const above = top - text.scrollTop;
              return [scrollY, above, above + high, text.clientHeight];
            }""",
            query,
        )
        assert page == 0
        assert top >= 0
        assert bottom <= room


def test_the_atlas_opens_any_head_by_mouse_and_by_keys(panel: Page) -> None:
    show(panel)
    atlas_of(panel).scroll_into_view_if_needed()
    step = panel.evaluate("document.querySelector('[data-part=atlas]').clientWidth - 24") / 2
    atlas_of(panel).click(position={"x": 24 + 1.5 * step, "y": 18 + 2.5 * step})
    assert panel.evaluate("[runs.look.layer, runs.look.head]") == [2, 1]
    expect(panel.get_by_label("Layer", exact=True)).to_have_value("2")
    expect(panel.get_by_label("Head", exact=True)).to_have_value("1")
    expect(panel.get_by_role("table", name="Layer 3, head 2")).to_be_visible()
    atlas_of(panel).press("ArrowUp")
    atlas_of(panel).press("Home")
    expect(panel.locator("[data-part=live]")).to_have_text("Layer 2, head 1")
    expect(atlas_of(panel)).to_have_attribute("aria-label", re.compile("Layer 2, head 1"))


ROLES = """() => { window.roles = async ({ run, probe }) => ({
  run, n: 11, probe: !!probe, repeats: 0,
  role: ["", "induction", "previous", "", "", ""],
  scores: Object.fromEntries(["previous", "self", "first", "duplicate", "induction",
    "previous_of_rest", "effective", "distance"].map((name, i) =>
      [name, [0, 1, 2, 3, 4, 5].map((n) => name === "duplicate" ? null : (i + n) / 10)])),
  }); }"""


def test_roles_are_named_and_no_evidence_is_said(panel: Page) -> None:
    panel.evaluate(ROLES)
    show(panel)
    expect(panel.get_by_role("button", name="I induction: 1")).to_be_visible()
    panel.get_by_label("Layer", exact=True).select_option("0")
    panel.get_by_label("Head", exact=True).select_option(label="2 of 2 · induction")
    card = panel.get_by_role("table", name="Layer 1, head 2")
    expect(card.get_by_role("row", name="Induction")).to_have_text(re.compile("Induction0.50"))
    expect(card.get_by_role("row", name="Duplicate")).to_have_text(re.compile("Duplicate\u2013"))
    expect(panel.get_by_text("No evidence about duplicates")).to_be_visible()
    panel.get_by_role("button", name="Test on repeated random tokens").click()
    expect(card.get_by_role("columnheader", name="random tokens")).to_be_visible()
    chip = panel.get_by_role("button", name="I induction: 1")
    chip.click()
    expect(chip).to_have_attribute("aria-pressed", "true")


def test_a_head_named_by_a_long_role_stays_in_the_panel(panel: Page) -> None:
    panel.set_viewport_size({"width": 562, "height": 800})
    panel.evaluate(ROLES)
    show(panel)
    panel.get_by_label("Layer", exact=True).select_option("1")
    head = panel.get_by_label("Head", exact=True)
    expect(head.locator("option").first).to_have_text("1 of 2 · previous token")
    right = "(node) => node.getBoundingClientRect().right"
    inside = panel.locator("#attention_view .bar").first.evaluate(right)
    assert head.evaluate(right) <= inside


def test_a_server_that_answers_the_probe_with_nothing_is_said(panel: Page) -> None:
    panel.evaluate(ROLES)
    show(panel)
    expect(panel.get_by_role("button", name="I induction: 1")).to_be_visible()
    panel.evaluate("() => { window.roles = async () => undefined; }")
    panel.get_by_role("button", name="Test on repeated random tokens").click()
    expect(panel.get_by_text("The server did not answer. Try again.")).to_be_visible()


def test_keys_zoom_and_the_minimap_shows_where(panel: Page) -> None:
    show(panel, 200)
    map_of(panel).focus()
    for _ in range(5):
        map_of(panel).press("+")
    expect(panel.locator("[data-part=minimap]")).to_be_visible()
    expect(panel.get_by_role("button", name="whole map")).to_be_visible()
    below = panel.evaluate("""async () => {
      const { planOf } = await import("/geometry.js");
      const part = (name) => document.querySelector(`[data-part=${name}]`);
      const [map, small] = [part("map"), part("minimap")];
      const { gutter } = planOf(map.clientWidth, { x: 0, y: 0, size: 26 }, runs.splits);
      return small.getBoundingClientRect().top - map.getBoundingClientRect().top - gutter;
    }""")
    assert below == pytest.approx(0, abs=1), "it hides labels"
    map_of(panel).press("Home")
    map_of(panel).press("PageUp")
    assert panel.evaluate("runs.selection.query") == 188
    panel.locator("[data-part=minimap]").click(position={"x": 5, "y": 20})
    map_of(panel).press("0")
    expect(panel.locator("[data-part=minimap]")).to_be_hidden()


def test_the_map_is_drawn_in_both_themes(panel: Page) -> None:
    show(panel)
    corner = """() => {
      const canvas = document.querySelector('[data-part=map]');
      return [...canvas.getContext('2d').getImageData(88, 88, 1, 1).data];
    }"""
    drawn(panel)
    assert panel.evaluate(corner) == [0x09, 0x2C, 0x58, 255]
    panel.evaluate("document.body.classList.add('dark')")
    drawn(panel)
    assert panel.evaluate(corner) == [0xFA, 0xE0, 0x82, 255]


@pytest.mark.parametrize(("scale", "place"), [("√ weight", 0.8), ("linear", 0.64), ("log", 0.935)])
def test_a_colour_scale_recolours_the_map(panel: Page, scale: str, place: float) -> None:
    """The cell shows 0.64: where the scale puts that, the ramp says its colour."""
    show(panel)
    panel.get_by_label("separate first token").uncheck()
    panel.get_by_label("Colour scale", exact=True).select_option(label=scale)
    wanted = panel.evaluate(
        "async (place) => (await import('/color.js')).rampColors('light')[Math.round(255 * place)]",
        place,
    )
    drawn(panel)
    cell = panel.evaluate(
        """async () => {
          const { planOf, spanOf, xOf, yOf } = await import("/geometry.js");
          const canvas = document.querySelector("[data-part=map]");
          const size = spanOf(runs.drawable, runs.running);
          const plan = planOf(canvas.clientWidth, { x: 0, y: 0, size }, false);
          const context = canvas.getContext("2d");
          const [x, y] = [xOf(plan, 4.3), yOf(plan, 5.3)];
          return [[...context.getImageData(x, y, 1, 1).data], runs.row(5)[4]];
        }"""
    )
    assert cell[1] == pytest.approx(0.64, abs=0.01)
    assert cell[0] == pytest.approx([*wanted, 255], abs=3)


def test_copy_falls_back_and_save_keeps_the_text(panel: Page) -> None:
    send(panel, output([{"special": "<|endoftext|>"}, "It", {"hex": "e280"}, {"hex": "99"}, "s\n"]))
    expect(panel.locator(".token[data-from]")).to_have_count(4)
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
    drawn(panel)
    found = Axe().run(panel).response["violations"]
    assert [(v["id"], [node["html"] for node in v["nodes"]]) for v in found] == []
    assert panel.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("path", panel_files().values(), ids=lambda path: path.name)
def test_files_hold_what_the_page_allows(path: Path) -> None:
    source = path.read_text().replace("http://www.w3.org/2000/svg", "")  # a name, not a request
    assert not re.search(r"https?://|(inner|outer|insertAdjacent)HTML|document\.write", source)
    if path.suffix != ".js":  # Gradio fills html and css in as templates
        assert not re.search(r"\{\{|\$\{|`|\\", source)


@pytest.mark.parametrize("mode", ["head", "rollout"])
def test_full_screen_cuts_nothing_off(panel: Page, mode: str) -> None:
    show(panel)
    panel.evaluate("(mode) => runs.choose({ mode })", mode)
    panel.get_by_role("button", name="full screen").click()
    expect(panel.get_by_role("button", name="close")).to_be_visible()
    tops = "() => document.querySelector('[data-part=stage]').getBoundingClientRect().top"
    assert panel.evaluate(tops) >= 0
    panel.get_by_role("button", name="close").click()


def test_a_marked_number_covers_those_it_touches_whole(panel: Page) -> None:
    show(panel, 130)
    panel.evaluate("runs.select({ query: 40, key: 11 })")
    drawn(panel)
    covered = panel.evaluate(
        """async () => {
          const { planOf, xOf } = await import("/geometry.js");
          const over = document.querySelector("[data-part=over]");
          const size = runs.drawable;
          const plan = planOf(over.clientWidth, { x: 0, y: 0, size }, runs.splits);
          const tick = xOf(plan, 10.5);
          const alpha = (x) => over.getContext("2d").getImageData(x, plan.gutter - 9, 1, 1).data[3];
          return [plan.labelled, 10 % plan.tick, ...[-5, 0, 5].map((away) => alpha(tick + away))];
        }"""
    )
    assert covered == [False, 0, 255, 255, 255]
