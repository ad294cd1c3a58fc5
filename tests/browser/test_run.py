"""A run from the first click to the last row, and everything one may do meanwhile."""

from __future__ import annotations

import re
import time

import numpy as np
import pytest
from playwright.sync_api import Route, expect

from gpt2.config import SIZES

from .reference import PROMPT, engine, ids_of, text_of
from .visit import Visit

pytestmark = pytest.mark.browser

LAYERS = SIZES["tiny"].config.num_blocks
HEADS = SIZES["tiny"].config.num_heads

# Every row of the map looked at, as lists of weights.
ROWS = "() => Array.from({ length: store.drawable }, (_, i) => Array.from(store.row(i)))"


def test_text_and_map_grow_token_by_token(visit: Visit) -> None:
    visit.watch()
    visit.generate(size="deep", seed=7, new_tokens=100)
    assert len(visit.seen("lengths")) > 5
    assert len(visit.seen("rows")) > 3
    assert len(visit.seen("thumbs")) > 3
    assert "Writing." in visit.seen("notes")


@pytest.mark.journey
def test_a_run_ends_with_the_text_and_the_map_of_the_model(visit: Visit) -> None:
    text = visit.generate(seed=7, new_tokens=300)
    assert text == text_of(7, 300)
    expect(visit.text).to_contain_text(PROMPT)
    assert visit.text.inner_text().strip().startswith(PROMPT)
    expect(visit.note).to_have_text("Done.")
    expect(visit.map).to_have_attribute("aria-label", re.compile(r"\b311 rows"))
    assert visit.tokens() == 312
    expect(visit.output).to_contain_text("300 of 300 new tokens")
    expect(visit.output).to_contain_text("seed 7")
    expect(visit.status).to_have_text("Tiny · float32 · ready")
    expect(visit.attention.get_by_text("Example", exact=True).first).to_be_hidden()
    visit.screenshot("after")


@pytest.mark.journey
def test_the_map_is_what_the_model_computes(visit: Visit) -> None:
    visit.generate(seed=11, new_tokens=60)
    ids = ids_of(11, 60)
    assert visit.tokens() == len(ids)
    for layer, head in [(0, 0), (2, HEADS - 1), (LAYERS - 1, 1)]:
        visit.layer.select_option(str(layer))
        visit.head.select_option(str(head))
        visit.until("([layer, head]) => store.look.layer === layer && store.look.head === head"
                    " && store.missing() === null", [layer, head])  # fmt: skip
        assert_rows(visit.page.evaluate(ROWS), ids, layer, head)
    visit.page.get_by_label("Map", exact=True).select_option(label="Layer, mean")
    visit.until("() => store.look.mode === 'mean' && store.missing() === null")
    expected = engine().attention_rows(ids[:-1], LAYERS - 1).mean(axis=0)
    for i, row in enumerate(visit.page.evaluate(ROWS)):
        np.testing.assert_allclose(row, expected[i, : i + 1], rtol=0, atol=0.012)


def assert_rows(rows: list[list[float]], ids: list[int], layer: int, head: int) -> None:
    """As the model computes them, but for a byte's rounding; every one sums to 1."""
    assert len(rows) == len(ids) - 1
    expected = engine().attention_rows(ids[:-1], layer)[head]
    for i, row in enumerate(rows):
        np.testing.assert_allclose(row, expected[i, : i + 1], rtol=0, atol=0.012)
        assert sum(row) == pytest.approx(1, abs=1e-5)


def test_the_same_seed_writes_the_same_text(visit: Visit) -> None:
    first = visit.generate(seed=3, new_tokens=40)
    assert visit.generate() == first
    assert visit.generate(seed=4) != first


@pytest.mark.journey
def test_continue_goes_on_as_one_longer_run_would(visit: Visit) -> None:
    seed = drawn_seed(visit)
    run = visit.run_id()
    assert visit.go_on(new_tokens=25) == text_of(seed, 55)
    assert visit.run_id() == run
    assert visit.rows() == visit.tokens() - 1
    layer, head = visit.page.evaluate("[store.look.layer, store.look.head]")
    assert_rows(visit.page.evaluate(ROWS), ids_of(seed, 55), layer, head)


def drawn_seed(visit: Visit) -> int:
    """The seed of a new text of 30 tokens whose model would not end it within 55.

    After an end, Continue goes on where one longer run would not.
    """
    while True:
        visit.generate(seed="", new_tokens=30)
        seed = int(visit.page.evaluate("store.run.status.stats.seed"))
        if engine().tokenizer.end_of_text not in ids_of(seed, 55):
            return seed


def test_stop_and_continue_can_be_pressed_when_they_have_something_to_do(visit: Visit) -> None:
    stop, more = visit.button("Stop"), visit.button("Continue")
    expect(stop).to_be_disabled()
    expect(more).to_be_disabled()
    more.click(force=True)
    visit.start(size="deep", new_tokens=1000, seed=1)
    expect(stop).to_be_enabled()
    expect(more).to_be_disabled()
    stop.focus()
    visit.page.keyboard.press("Enter")
    expect(visit.note).to_have_text("Stopped.")
    expect(stop).to_be_disabled()
    expect(stop).to_be_focused()  # whoever works by keys keeps his place
    expect(more).to_be_enabled()
    tokens = visit.tokens()
    visit.page.keyboard.press("Enter")
    visit.go_on(new_tokens=2)
    assert visit.tokens() == tokens + 2
    expect(stop).to_be_disabled()


def test_a_full_context_cannot_be_continued(visit: Visit) -> None:
    words = "word " * (SIZES["tiny"].config.max_seq_len // 2)
    prompt = engine().tokenizer.decode((engine().encode(words) * 2)[:500])
    visit.generate(prompt=prompt, new_tokens=100, seed=1)
    expect(visit.note).to_have_text(re.compile("^The context is full"))
    expect(visit.button("Continue")).to_be_disabled()
    visit.open()
    visit.until("() => store.run?.status && !store.run.example")
    expect(visit.button("Continue")).to_be_disabled()
    visit.generate(prompt=PROMPT, new_tokens=2)
    expect(visit.button("Continue")).to_be_enabled()


@pytest.mark.journey
def test_stop_ends_at_once_and_keeps_the_text(visit: Visit) -> None:
    visit.start(size="deep", new_tokens=1000, seed=1)
    visit.until("() => store.run.tokens.ready > 20")
    asked = time.monotonic()
    visit.button("Stop").click()
    expect(visit.note).to_have_text("Stopped.")
    assert time.monotonic() - asked < 20  # all 1,000 tokens take longer, and other tests run beside
    kept = visit.tokens()
    text = visit.finished()
    assert 20 < kept < 900
    assert text.startswith(PROMPT)
    assert visit.rows() == kept - 1
    visit.go_on(new_tokens=3)
    assert visit.tokens() == kept + 3
    assert visit.written().startswith(text.rstrip("\ufffd"))


def test_a_stop_that_overtakes_generate_is_not_lost(visit: Visit) -> None:
    visit.choose(size="deep", new_tokens=1000, seed=1)
    held: list[Route] = []
    visit.page.route("**/queue/join**", lambda route: held.append(route))
    visit.button("Generate").click()
    with visit.page.expect_response("**/run/predict**"):
        visit.button("Stop").click()
    for route in held:
        route.continue_()
    expect(visit.note).to_have_text(re.compile("^Stopped"))


def test_generate_while_it_writes_ends_that_text_and_starts_another(visit: Visit) -> None:
    visit.start(size="deep", new_tokens=1000, seed=1)
    visit.until("() => store.run.tokens.ready > 20")
    first = visit.page.evaluate("store.run.id")
    visit.choose(size="deep", new_tokens=5, seed=2)
    visit.button("Generate").click()
    visit.until(f"() => store.run.id !== '{first}' && store.run.status?.state === 'done'")
    assert visit.page.evaluate("store.run.status.stats.new") == 5


@pytest.mark.journey
def test_layer_and_head_change_while_it_writes(visit: Visit) -> None:
    visit.start(size="deep", new_tokens=1000, seed=2)
    visit.until("() => store.drawable > 15")
    visit.screenshot("midway")
    visit.layer.select_option("9 of 64")
    visit.head.select_option("2 of 2")
    visit.until("() => store.look.layer === 8 && store.look.head === 1 && store.drawable > 25")
    visit.layer.select_option("64 of 64")
    visit.until("() => store.look.layer === 63 && store.drawable > 35")
    assert visit.state() == "running"
    visit.button("Stop").click()
    visit.finished()
    assert visit.rows() == visit.tokens() - 1
    visit.layer.select_option("1 of 64")
    visit.until("() => store.look.layer === 0 && store.drawable === store.run.tokens.ready - 1")
    expect(visit.head).to_have_value("1")


@pytest.mark.journey
def test_pointer_and_keys_read_who_reads_whom(visit: Visit) -> None:
    visit.generate(seed=5, new_tokens=10)
    visit.page.evaluate("store.select(null)")  # the row that was opened
    said = re.compile(
        r"^“.+” \(14\) reads “.+” \(3\): <?\d+\s%( \(<?\d+\s% without the first token\))?$"
    )
    readout = visit.attention.get_by_text(re.compile(r"\breads\b.*: <?\d+\s%")).first
    visit.map.hover(position=visit.cell(14, 3))
    expect(readout).to_have_text(said)
    assert outlined(visit) == {14}
    expect(visit.text.locator(".selected")).to_have_count(1)
    expect(visit.text.locator(".selected")).to_have_attribute("data-from", "14")
    visit.page.mouse.move(5, 5)
    visit.until("() => store.hover === null")
    assert outlined(visit) == {visit.rows() - 1}

    visit.map.click(position=visit.cell(10, 2))
    visit.page.mouse.move(5, 5)
    visit.map.press("ArrowDown")
    visit.map.press("ArrowRight")
    expect(readout).to_have_text(re.compile(r"\(11\) reads “.+” \(3\): "))
    visit.map.press("Escape")
    expect(readout).to_have_text(re.compile(rf"\({visit.rows() - 1}\) reads most from "))

    visit.text.locator(".token").nth(6).click()
    visit.page.mouse.move(5, 5)
    visit.until("() => store.pick?.query === 6")
    assert outlined(visit) == {6}
    visit.text.press("ArrowRight")
    visit.until("() => store.pick?.query === 7")
    expect(visit.text.locator(".selected")).to_have_attribute("data-from", "7")


def outlined(visit: Visit) -> set[int]:
    """Rows of the map whose left edge is drawn in the accent colour."""
    rows = visit.map.evaluate(
        """async (canvas) => {
          await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
          const size = geometry.spanOf(store.drawable, false);
          const plan = geometry.planOf(canvas.clientWidth, { x: 0, y: 0, size }, store.splits);
          const over = canvas.parentElement.querySelector("[data-part=over]");
          const c = over.getContext("2d");
          const accent = getComputedStyle(canvas).getPropertyValue("--accent").trim();
          return Array.from({ length: store.drawable }, (_, i) => i).filter((i) => {
            const y = geometry.yOf(plan, i + 0.5);
            const [r, g, b] = c.getImageData(plan.gutter - 1, y, 1, 1).data;
            return "#" + [r, g, b].map((v) => v.toString(16).padStart(2, "0")).join("") === accent;
          });
        }"""
    )
    return set(rows)
