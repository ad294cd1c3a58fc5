"""Colours, geometry, pixels and the numbers beside them."""

import re
from itertools import pairwise
from typing import Any

import pytest
from playwright.sync_api import Page

from .conftest import PANEL

pytestmark = pytest.mark.browser


def luminance(rgb: list[float]) -> float:
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in rgb]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize(("theme", "direction"), [("light", -1), ("dark", 1)])
def test_ramps_are_monotone_in_lightness(panel: Page, theme: str, direction: int) -> None:
    colors = panel.evaluate("async (theme) => (await import('/color.js')).rampColors(theme)", theme)
    light = [luminance([c / 255 for c in color]) for color in colors]
    steps = [direction * (b - a) for a, b in pairwise(light)]
    assert len(colors) == 256
    assert min(steps) >= 0
    assert direction * (light[-1] - light[0]) > 0.6


def test_pixels_are_the_same_colours(panel: Page) -> None:
    same = panel.evaluate(
        """async () => {
          const color = await import("/color.js");
          const bytes = new Uint8Array(color.rampPixels("dark").buffer);
          return color.rampColors("dark").every((rgb, i) =>
            rgb.every((v, c) => bytes[4 * i + c] === v) && bytes[4 * i + 3] === 255);
        }"""
    )
    assert same


@pytest.mark.parametrize("ground", ["--paper", "--card", "--field"])
@pytest.mark.parametrize("ink", ["--ink", "--quiet", "--accent", "--warm"])
def test_text_colours_keep_their_contrast_in_both_themes(ground: str, ink: str) -> None:
    light, dark = (PANEL / "tokens.css").read_text().split("body.dark")
    for theme in (light, dark):
        pair = []
        for name in (ground, ink):
            found = re.search(rf"{name}: #([0-9a-f]{{6}})", theme)
            assert found
            pair.append(luminance([int(found[1][at : at + 2], 16) / 255 for at in (0, 2, 4)]))
        assert (max(pair) + 0.05) / (min(pair) + 0.05) >= 4.5


def test_the_map_grows_in_steps_and_fits_at_the_end(panel: Page) -> None:
    spans = panel.evaluate(
        """async () => {
          const { spanOf } = await import("/geometry.js");
          return [spanOf(1, true), spanOf(33, true), spanOf(1024, true), spanOf(33, false)];
        }"""
    )
    assert spans == [12, 40, 1024, 33]


@pytest.mark.parametrize("span", [12, 31, 300, 1024])
def test_a_point_in_a_cell_is_that_cell(panel: Page, span: int) -> None:
    wrong = panel.evaluate(
        """async (span) => {
          const { cellAt, edgeOf, planOf } = await import("/geometry.js");
          const plan = planOf(488, span);
          const middle = (i) => edgeOf(plan, i + 0.5);
          const outside = [cellAt(plan, 1, 1, span), cellAt(plan, middle(span), middle(0), span),
                           cellAt(plan, middle(0), middle(5), 5)];
          let wrong = outside.filter((cell) => cell !== null).length;
          for (let i = 0; i < span; i++) {
            const cell = cellAt(plan, middle(span - 1 - i), middle(i), span);
            if (cell.query !== i || cell.key !== span - 1 - i) wrong += 1;
          }
          return wrong;
        }""",
        span,
    )
    assert wrong == 0


def test_arrow_keys_stay_on_what_can_be_seen(panel: Page) -> None:
    def moved(query: int, key: int, name: str) -> Any:
        return panel.evaluate(
            "async ([cell, name]) => (await import('/geometry.js')).moved(cell, name, 30)",
            [{"query": query, "key": key}, name],
        )

    assert moved(5, 5, "ArrowRight") == {"query": 5, "key": 5}
    assert moved(5, 5, "ArrowUp") == {"query": 4, "key": 4}
    assert moved(5, 2, "ArrowLeft") == {"query": 5, "key": 1}
    assert moved(25, 2, "PageDown") == {"query": 29, "key": 2}
    assert moved(5, 2, "End") == {"query": 5, "key": 5}
    assert moved(5, 2, "x") is None


def test_pooling_keeps_the_largest_weight_and_leaves_the_future_empty(panel: Page) -> None:
    pixels = panel.evaluate(
        """async () => {
          const { fill } = await import("/raster.js");
          const ramp = Uint32Array.from({ length: 256 }, (_, i) => 0xff000000 + i);
          const weights = (i) => Uint8Array.from({ length: i + 1 }, (_, j) => 10 * i + j);
          const view = { span: 8, limit: 4, pixels: ramp, count: 8, rowOf: weights };
          const raster = fill(null, view);
          raster.paint();
          const { data } = raster.context.getImageData(0, 0, 4, 4);
          const red = Array.from({ length: 16 }, (_, i) => data[4 * i + 3] ? data[4 * i] : null);
          return [raster.pool, red];
        }"""
    )
    assert pixels[0] == 2
    assert pixels[1] == [
        11, None, None, None,
        31, 33, None, None,
        51, 53, 55, None,
        71, 73, 75, 77,
    ]  # fmt: skip


def test_the_strongest_come_first_and_ties_keep_their_order(panel: Page) -> None:
    found = panel.evaluate(
        """async () => {
          const { strongest, readersOf, number } = await import("/reading.js");
          const row = Uint8Array.from([9, 200, 9, 250, 200, 0]);
          const rows = [[255], [200, 10], [100, 20, 5], [0, 90, 1, 1]];
          return [strongest(row, 3).map((e) => e.index), strongest(row, 9, 2).map((e) => e.index),
                  readersOf(1, 4, (i) => rows[i], 2), [255, 128, 9, 0].map(number)];
        }"""
    )
    assert found[0] == [3, 1, 4]
    assert found[1] == [3, 4, 2, 5]
    assert found[2] == [{"index": 3, "byte": 90}, {"index": 2, "byte": 20}]
    assert found[3] == ["1.00", "0.25", "<0.01", "0.00"]
