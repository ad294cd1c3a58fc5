"""Where texts part, how scales are marked, and tables as files: the Compare tab's pure parts."""

from __future__ import annotations

import csv
from itertools import combinations
from typing import Any

import pytest
from playwright.sync_api import Page

from .modules import Modules


def call(where: Page | Modules, module: str, name: str, *arguments: Any) -> Any:
    return where.evaluate(
        "async ([module, name, args]) => (await import(`/${module}.js`))[name](...args)",
        [module, name, list(arguments)],
    )


def text(run: str, tokens: list[Any], ended: bool = False) -> dict[str, Any]:
    return {"run": run, "tokens": tokens, "ended": ended}


@pytest.mark.parametrize(
    ("one", "other", "places"),
    [
        ([" a", " fox"], [" a", " bear"], (1, 1, 1)),
        ([" a", " fox"], [" a", " fox"], None),
        ([" fox", "es", " ran"], [" f", "oxes", " sat"], (2, 2, 2)),  # cut differently, said alike
        ([" fox"], [" foxes"], None),  # the first may still say "es"
        ([], [" x"], None),
        ([{"hex": "e280"}, {"hex": "99"}], [{"hex": "e280"}, {"hex": "9c"}], (1, 1, 1)),
        ([{"special": "<|endoftext|>"}], [" x"], (0, 0, 0)),
    ],
    ids=str,
)
def test_the_first_byte_that_differs_names_the_tokens(
    modules: Modules, one: list[Any], other: list[Any], places: tuple[int, int, int] | None
) -> None:
    key = repr((one, other))
    found = call(
        modules, "divergence", "divergenceOf", text("a" + key, one), text("b" + key, other)
    )
    assert (found and (found["first"], found["second"], found["same"])) == places


def test_a_text_that_ends_parts_from_one_that_goes_on(modules: Modules) -> None:
    found = call(
        modules, "divergence", "divergenceOf", text("c", [" a"], True), text("d", [" a", " b"])
    )
    assert (found["first"], found["second"]) == (-1, 1)
    sentence = call(modules, "divergence", "divergenceSentence", found, {"title": "Tiny"})
    assert sentence == "Continues after 1 token with “b”, where Tiny ends."


def test_once_parted_is_parted(modules: Modules) -> None:
    first = call(modules, "divergence", "divergenceOf", text("e", [" a"]), text("f", [" b"]))
    again = call(
        modules, "divergence", "divergenceOf", text("e", [" a", " c"]), text("f", [" b"], True)
    )
    assert first == again


@pytest.mark.browser
@pytest.mark.parametrize(
    "values", [[1.1, 0.9], [120, 3.2], [5, 5], [0.001], [2.7, 2.69, 2.71], [1e-9, 4]]
)
def test_a_scale_holds_every_value_between_round_marks(panel: Page, values: list[float]) -> None:
    found = panel.evaluate(
        """async (values) => {
          const scale = (await import("/plot.js")).linearScale(values, 100, 0);
          return {
            ticks: scale.ticks,
            shown: scale.ticks.map(scale.format),
            places: values.map((v) => scale.at(v)),
          };
        }""",
        values,
    )
    assert 2 <= len(found["ticks"]) <= 8
    assert [float(shown) for shown in found["shown"]] == found["ticks"]
    assert found["ticks"][0] <= min(values)
    assert found["ticks"][-1] >= max(values) * (1 - 1e-9)
    assert all(-1e-6 <= place <= 100 + 1e-6 for place in found["places"])


@pytest.mark.browser
@pytest.mark.parametrize(
    ("parameters", "names", "speeds"),
    [
        ([124e6, 355e6, 774e6, 1558e6], ["Small", "Medium", "Large", "XL"], [90, 40, 18, 9]),
        ([124e6, 355e6, 774e6, 1558e6], ["Small", "Medium", "Large", "XL"], [50, 49.9, 50.1, 50]),
        ([2e6, 4e6, 124e6, 355e6], ["Tiny", "Mini", "Small", "Medium"], [0.61, 0.49, 3.505, 3.506]),
    ],
)
def test_no_two_names_in_a_plot_cover_each_other(
    panel: Page, parameters: list[float], names: list[str], speeds: list[float]
) -> None:
    """Four sizes on a phone; heading and hint stand apart from the names and from each other."""
    points = [
        {"x": x, "y": y, "name": name, "label": str(y)}
        for x, y, name in zip(parameters, speeds, names, strict=True)
    ]
    boxes = panel.evaluate(
        """async (points) => {
          const { drawPlot } = await import("/plot.js");
          const words = { title: "Bits per byte of the prompt", hint: "lower is better" };
          const plot = { ...words, points, zero: true, width: 310 };
          const svg = drawPlot({ ...plot, style: getComputedStyle(document.body) });
          document.body.append(svg);
          const [heading, hint] = svg.querySelectorAll("text");
          const names = [...svg.querySelectorAll('text[font-weight="600"]')].slice(1);
          const boxes = [heading, hint, ...names].map((text) => text.getBBox());
          svg.remove();
          return boxes.map(({ x, y, width, height }) => ({ x, y, width, height }));
        }""",
        points,
    )
    assert len(boxes) == 6
    for one, other in combinations(boxes, 2):
        across = min(b["x"] + b["width"] for b in (one, other)) - max(one["x"], other["x"])
        down = min(b["y"] + b["height"] for b in (one, other)) - max(one["y"], other["y"])
        assert across <= 0 or down <= 2
        assert all(box["x"] >= 0 and box["x"] + box["width"] <= 310 for box in (one, other))


@pytest.mark.browser
def test_a_name_in_a_plot_stands_beside_its_range(panel: Page) -> None:
    covered = panel.evaluate(
        """async () => {
          const { drawPlot } = await import("/plot.js");
          const points = [
            { x: 2.3e6, y: 560, low: 297, high: 823, name: "Tiny", label: "560 ± 263" },
            { x: 4.3e6, y: 805, low: 731, high: 879, name: "Mini", label: "805 ± 74" },
          ];
          const plot = { title: "Tokens per second", hint: "higher is faster", points, zero: true };
          const svg = drawPlot({ ...plot, width: 560, style: getComputedStyle(document.body) });
          document.body.append(svg);
          const boxes = (found) => [...svg.querySelectorAll(found)].map((one) => one.getBBox());
          const names = boxes('text[font-weight="600"]').slice(1);
          const ranges = boxes("line.range");
          svg.remove();
          return names.filter((name) => ranges.some((range) =>
            range.x + range.width > name.x && range.x < name.x + name.width
            && range.y + range.height > name.y && range.y < name.y + name.height)).length;
        }"""
    )
    assert covered == 0


@pytest.mark.browser
def test_the_csv_keeps_measured_numbers_and_quotes_what_needs_it(panel: Page) -> None:
    rows = [{"size": 'a,"b"', "speed": 12.3456789, "first": None}]
    assert call(panel, "figures_view", "tableOf", rows) == (
        'size,speed,first\r\n"a,""b""",12.3456789,\r\n'
    )


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\t=1", "\r=1"])
def test_a_spreadsheet_takes_no_text_for_a_formula(modules: Modules, text: str) -> None:
    cell = call(modules, "formats", "csvCell", text)
    assert next(csv.reader([cell]))[0] == f"'{text}"
    assert call(modules, "formats", "csvCell", -1) == "-1"


@pytest.mark.parametrize(
    ("share", "fine", "coarse"),
    [
        (0, "0 %", "0 %"),
        (0.0004, "<0.1 %", "<1 %"),
        (0.0123, "1.2 %", "1 %"),
        (0.123, "12 %", "12 %"),
        (1, "100 %", "100 %"),
    ],
)
def test_a_share_is_written_in_one_way(
    modules: Modules, share: float, fine: str, coarse: str
) -> None:
    assert call(modules, "formats", "percent", share).replace("\xa0", " ") == fine
    assert call(modules, "formats", "wholePercent", share).replace("\xa0", " ") == coarse


@pytest.mark.parametrize(
    ("count", "words"), [(None, "\u2013"), (9_400_000, "9 MB"), (548_105_171, "0.5 GB")]
)
def test_so_are_bytes(modules: Modules, count: int | None, words: str) -> None:
    assert call(modules, "formats", "bytes", count).replace("\xa0", " ") == words
