"""A run from the first click to the last row, and everything one may do meanwhile."""

from __future__ import annotations

import re
import time

import numpy as np
import pytest
from playwright.sync_api import expect

from gpt2.config import SIZES

from .reference import PROMPT, ids_of, levels_of, text_of
from .visit import Visit

pytestmark = pytest.mark.browser

LAYERS = SIZES["tiny"].config.num_blocks
HEADS = SIZES["tiny"].config.num_heads

# Every row of the layer looked at, as lists of bytes: [row][head][key].
ROWS = """() => Array.from({ length: store.drawable }, (_, i) =>
  Array.from({ length: store.run.heads }, (_, head) => Array.from(store.row(i, head))))"""


def test_text_and_map_grow_token_by_token(visit: Visit) -> None:
    visit.watch()
    text = visit.generate(seed=7, new_tokens=300)
    assert text == text_of(7, 300)
    expect(visit.text).to_contain_text(PROMPT)
    assert visit.text.inner_text().strip().startswith(PROMPT)
    assert len(visit.seen("lengths")) > 5
    assert len(visit.seen("rows")) > 3
    assert len(visit.seen("thumbs")) > 3
    assert "Writing." in visit.seen("notes")
    expect(visit.note).to_have_text("Done.")
    expect(visit.map).to_have_attribute("aria-label", re.compile(r"\b311 rows"))
    assert visit.tokens() == 312
    expect(visit.output).to_contain_text("300 of 300 new tokens")
    expect(visit.output).to_contain_text("seed 7")
    expect(visit.status).to_have_text("Tiny · float32 · ready")
    expect(visit.attention.get_by_text("Worked example")).to_be_hidden()
    visit.screenshot("after")


def test_the_map_is_what_the_model_computes(visit: Visit) -> None:
    visit.generate(seed=11, new_tokens=60)
    ids = ids_of(11, 60)
    assert visit.tokens() == len(ids)
    for layer in range(LAYERS):
        visit.layer.select_option(f"{layer + 1} of {LAYERS}")
        visit.until("(layer) => store.layer === layer && store.missing() === null", layer)
        rows = visit.page.evaluate(ROWS)
        assert len(rows) == len(ids) - 1
        expected = levels_of(ids[:-1], layer)
        for i, heads in enumerate(rows):
            shown = np.array(heads, dtype=np.float64)
            assert shown.shape == (HEADS, i + 1)
            np.testing.assert_allclose(shown, expected[:, i, : i + 1], rtol=0, atol=0.6)
            # Each of the i + 1 roundings moves a weight by at most its root / 255.
            sums = ((shown / 255) ** 2).sum(axis=1)
            np.testing.assert_allclose(sums, 1, rtol=0, atol=(i + 1) ** 0.5 / 255 + 1e-3)


def test_the_same_seed_writes_the_same_text(visit: Visit) -> None:
    first = visit.generate(seed=3, new_tokens=40)
    assert visit.generate() == first
    assert visit.generate(seed=4) != first


def test_continue_goes_on_as_one_longer_run_would(visit: Visit) -> None:
    visit.generate(seed="", new_tokens=30)
    seed = int(visit.page.evaluate("store.run.status.stats.seed"))
    run = visit.run_id()
    assert visit.go_on(new_tokens=25) == text_of(seed, 55)
    assert visit.run_id() == run
    assert visit.rows() == visit.tokens() - 1
    rows = visit.page.evaluate(ROWS)
    expected = levels_of(ids_of(seed, 55)[:-1], visit.page.evaluate("store.layer"))
    for i, heads in enumerate(rows):
        np.testing.assert_allclose(heads, expected[:, i, : i + 1], rtol=0, atol=0.6)


def test_continue_without_a_text_says_what_to_do(visit: Visit) -> None:
    visit.button("Continue").click()
    expect(visit.note).to_have_text(re.compile("no text to continue yet"))


def test_stop_ends_at_once_and_keeps_the_text(visit: Visit) -> None:
    visit.start(size="deep", new_tokens=1000, seed=1)
    visit.until("() => store.run.tokens.ready > 20")
    asked = time.monotonic()
    visit.button("Stop").click()
    expect(visit.note).to_have_text("Stopped.")
    assert time.monotonic() - asked < 5
    kept = visit.tokens()
    text = visit.finished()
    assert 20 < kept < 900
    assert text.startswith(PROMPT)
    assert visit.rows() == kept - 1
    visit.go_on(new_tokens=3)
    assert visit.tokens() == kept + 3
    assert visit.written().startswith(text.rstrip("\ufffd"))


def test_generate_while_it_writes_ends_that_text_and_starts_another(visit: Visit) -> None:
    visit.start(size="deep", new_tokens=1000, seed=1)
    visit.until("() => store.run.tokens.ready > 20")
    first = visit.page.evaluate("store.run.id")
    visit.choose(size="deep", new_tokens=5, seed=2)
    visit.button("Generate").click()
    visit.until(f"() => store.run.id !== '{first}' && store.run.status?.state === 'done'")
    assert visit.page.evaluate("store.run.status.stats.new") == 5


def test_layer_and_head_change_while_it_writes(visit: Visit) -> None:
    visit.start(size="deep", new_tokens=1000, seed=2)
    visit.until("() => store.drawable > 15")
    visit.screenshot("midway")
    visit.layer.select_option("9 of 64")
    visit.thumbnails.nth(1).click()
    visit.until("() => store.layer === 8 && store.head === 1 && store.drawable > 25")
    visit.layer.select_option("64 of 64")
    visit.until("() => store.layer === 63 && store.drawable > 35")
    assert visit.state() == "running"
    visit.button("Stop").click()
    visit.finished()
    assert visit.rows() == visit.tokens() - 1
    visit.layer.select_option("1 of 64")
    visit.until("() => store.layer === 0 && store.drawable === store.run.tokens.ready - 1")
    expect(visit.head).to_have_value("1")


def test_pointer_and_keys_read_who_reads_whom(visit: Visit) -> None:
    visit.generate(seed=5, new_tokens=10)
    said = re.compile(r'^".+" \(14\) reads ".+" \(3\): (<0\.01|[01]\.\d\d)$')
    readout = visit.attention.get_by_text(re.compile(r"\breads\b.*: (<0|[01])\.")).first
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
    expect(readout).to_have_text(re.compile(r'\(11\) reads ".+" \(3\): '))
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
          const plan = geometry.planOf(canvas.clientWidth, geometry.spanOf(store.drawable, false));
          const c = canvas.getContext("2d");
          const accent = getComputedStyle(canvas).getPropertyValue("--accent").trim();
          return Array.from({ length: store.drawable }, (_, i) => i).filter((i) => {
            const y = geometry.edgeOf(plan, i + 0.5);
            const [r, g, b] = c.getImageData(plan.gutter - 1, y, 1, 1).data;
            return "#" + [r, g, b].map((v) => v.toString(16).padStart(2, "0")).join("") === accent;
          });
        }"""
    )
    return set(rows)
