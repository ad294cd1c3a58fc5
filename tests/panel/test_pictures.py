"""Colours, geometry, pixels and the numbers beside them."""

import re
from itertools import pairwise
from typing import Any

import pytest
from playwright.sync_api import Page

from gpt2.ui.page.assets import panel_text

from .modules import Modules


def luminance(rgb: list[float]) -> float:
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in rgb]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize(("theme", "direction"), [("light", -1), ("dark", 1)])
def test_ramps_are_monotone_in_lightness(modules: Modules, theme: str, direction: int) -> None:
    colors = modules.evaluate(
        "async (theme) => (await import('/color.js')).rampColors(theme)", theme
    )
    light = [luminance([c / 255 for c in color]) for color in colors]
    steps = [direction * (b - a) for a, b in pairwise(light)]
    assert len(colors) == 256
    assert min(steps) >= 0
    assert direction * (light[-1] - light[0]) > 0.6


def test_pixels_are_the_same_colours(modules: Modules) -> None:
    same = modules.evaluate(
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
    light, dark = panel_text("tokens.css").split("body.dark")
    for theme in (light, dark):
        pair = []
        for name in (ground, ink):
            found = re.search(rf"{name}: #([0-9a-f]{{6}})", theme)
            assert found
            pair.append(luminance([int(found[1][at : at + 2], 16) / 255 for at in (0, 2, 4)]))
        assert (max(pair) + 0.05) / (min(pair) + 0.05) >= 4.5


def test_the_map_grows_in_steps_and_fits_at_the_end(modules: Modules) -> None:
    spans = modules.evaluate(
        """async () => {
          const { spanOf } = await import("/geometry.js");
          return [spanOf(1, true), spanOf(33, true), spanOf(1024, true), spanOf(33, false)];
        }"""
    )
    assert spans == [12, 40, 1024, 33]


@pytest.mark.parametrize("split", [False, True])
@pytest.mark.parametrize("span", [12, 31, 300, 1024])
def test_a_point_in_a_cell_is_that_cell(modules: Modules, span: int, split: bool) -> None:
    wrong = modules.evaluate(
        """async ([span, split]) => {
          const { cellAt, planOf, xOf, yOf } = await import("/geometry.js");
          let wrong = 0;
          for (const window of [{x: 0, y: 0, size: span}, {x: 2, y: span / 2, size: span / 4}]) {
            const plan = planOf(488, window, split);
            const last = yOf(plan, span - 1);
            const outside = [cellAt(plan, 1, 1, span), cellAt(plan, 600, last, span)];
            wrong += outside.filter((cell) => cell !== null).length;
            for (let i = Math.ceil(window.y); i < window.y + window.size; i++) {
              const from = Math.ceil(window.x) + plan.shift;
              for (const key of [from, Math.floor(window.x + window.size) - 1]) {
                const cell = cellAt(plan, xOf(plan, key + 0.5), yOf(plan, i + 0.5), span);
                if (cell?.query !== i || cell?.key !== key) wrong += 1;
              }
              const strip = cellAt(plan, plan.gutter + 1, yOf(plan, i + 0.5), span);
              if (split && strip?.key !== 0) wrong += 1;
            }
          }
          return wrong;
        }""",
        [span, split],
    )
    assert wrong == 0


def test_zooming_keeps_the_point_under_the_pointer_and_stays_in_the_text(modules: Modules) -> None:
    found = modules.evaluate(
        """async () => {
          const { whole, zoomed, panned, revealing, isWhole } = await import("/viewport.js");
          const near = zoomed(whole(1024), 4, { x: 100, y: 800 }, 1024);
          const again = zoomed(near, 1 / 8, { x: 100, y: 800 }, 1024);
          return [near, isWhole(again, 1024), zoomed(near, 1e9, near, 1024).size,
                  panned(near, -5000, 5000, 1024), revealing(near, { query: 10, key: 5 }, 1024)];
        }"""
    )
    assert found[0] == {"x": 75, "y": 600, "size": 256}
    assert found[1] is True
    assert found[2] == 8
    assert found[3] == {"x": 0, "y": 768, "size": 256}
    assert found[4] == {"x": 5, "y": 10, "size": 256}


@pytest.mark.parametrize("scale", ["sqrt", "linear", "log", "row"])
def test_a_scale_is_monotone_and_ends_where_the_ramp_does(modules: Modules, scale: str) -> None:
    levels = modules.evaluate(
        """async (scale) => {
          const { indexOf, indexRow } = await import("/color.js");
          const weights = Float32Array.from({ length: 101 }, (_, i) => i / 100);
          return [[...indexRow(weights, scale, new Uint8Array(101))], indexOf(0.25, scale),
                  [...indexRow(weights.map((w) => w / 5), scale, new Uint8Array(101))]];
        }""",
        scale,
    )
    whole, quarter, fifth = levels
    assert whole[0] == 0
    assert whole[-1] == 255
    assert all(a <= b for a, b in pairwise(whole))
    assert quarter == {"sqrt": 128, "linear": 64, "log": 204, "row": 64}[scale]
    assert (fifth == whole) == (scale == "row")


def test_arrow_keys_stay_on_what_can_be_seen(modules: Modules) -> None:
    def moved(query: int, key: int, name: str) -> Any:
        return modules.evaluate(
            "async ([cell, name]) => (await import('/geometry.js')).moved(cell, name, 30)",
            [{"query": query, "key": key}, name],
        )

    assert moved(5, 5, "ArrowRight") == {"query": 5, "key": 5}
    assert moved(5, 5, "ArrowUp") == {"query": 4, "key": 4}
    assert moved(5, 2, "ArrowLeft") == {"query": 5, "key": 1}
    assert moved(25, 2, "PageDown") == {"query": 29, "key": 2}
    assert moved(5, 2, "End") == {"query": 5, "key": 5}
    assert moved(5, 2, "x") is None


@pytest.mark.browser
def test_pooling_keeps_the_largest_weight_and_leaves_the_future_empty(panel: Page) -> None:
    pixels = panel.evaluate(
        """async () => {
          const { fill } = await import("/raster.js");
          const ramp = Uint32Array.from({ length: 256 }, (_, i) => 0xff000000 + i);
          const levels = (i) => Uint8Array.from({ length: i + 1 }, (_, j) => 10 * i + j);
          const levelsOf = (i) => ({ levels: levels(i), first: 0 });
          const window = { x: 0, y: 0, size: 8 };
          const view = { span: 8, window, limit: 4, pixels: ramp, shift: 0, count: 8, levelsOf };
          const raster = fill(null, view);
          raster.paint();
          const { data } = raster.canvas.getImageData(0, 0, 4, 4);
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


def test_the_strongest_come_first_and_ties_keep_their_order(modules: Modules) -> None:
    found = modules.evaluate(
        """async () => {
          const { strongest, readersOf } = await import("/reading.js");
          const { wholePercent } = await import("/formats.js");
          const row = Float32Array.from([9, 200, 9, 250, 200, 0]);
          const rows = [[255], [200, 10], [100, 20, 5], [0, 90, 1, 1]];
          return [strongest(row, 3).map((e) => e.index), strongest(row, 9, 2).map((e) => e.index),
                  readersOf(1, 4, (i) => rows[i], 2), [1, 0.25, 0.001, 0].map(wholePercent)];
        }"""
    )
    assert found[0] == [3, 1, 4]
    assert found[1] == [3, 4, 2, 5]
    assert found[2] == [{"index": 3, "weight": 90}, {"index": 2, "weight": 20}]
    assert found[3] == ["100\u00a0%", "25\u00a0%", "<1\u00a0%", "0\u00a0%"]
