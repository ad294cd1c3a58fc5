"""A map that grows draws only what is new, and looks as if it were drawn at once."""

import pytest
from playwright.sync_api import Page

pytestmark = pytest.mark.browser

FAINT = 10  # of 255: the browser smooths a line a little differently in a smaller rectangle

GROW = """async ({ rows, steps, width, split, unnamed, ratio }) => {
  const { AttentionMap } = await import("/map.js");
  const { restOf } = await import("/reading.js");
  const { readTheme } = await import("/theme.js");
  const theme = readTheme(document.body);
  const rowOf = (i) => {
    const row = Float32Array.from({ length: i + 1 }, (_, j) => 1 + ((7 * i + 3 * j * j) % 11));
    return row.map((weight) => weight / row.reduce((sum, one) => sum + one, 0));
  };
  const tokens = Array.from({ length: rows }, (_, i) => ` w${i}`);
  const draw = (map, count) => map.draw({
    width, ratio, span: rows, window: { x: 0, y: 0, size: rows }, key: "a", count, split,
    scale: "sqrt", rowOf, shownOf: split ? (i) => restOf(rowOf(i)) : rowOf,
    tokens: tokens.slice(0, Math.max(0, count - unnamed)),
    selection: { query: -1, key: null }, ...theme,
  });
  const pixels = (counts) => {
    const map = new AttentionMap(...["map", "over"].map(() => document.createElement("canvas")));
    let bases = 0;
    const own = map.drawBase.bind(map);
    map.drawBase = (view, from) => {
      bases += from === 0;
      own(view, from);
    };
    for (const count of counts) draw(map, count);
    unnamed = 0;
    draw(map, rows);
    const { canvas, base } = map;
    return { bases, data: base.getImageData(0, 0, canvas.width, canvas.height).data };
  };
  const missing = unnamed;
  const grown = pixels([...Array(rows).keys()].filter((i) => i > 0 && i % steps === 0));
  unnamed = missing;
  const once = pixels([]);
  const differ = Math.max(...[0, 1, 2, 3].map((channel) => {
    let most = 0;
    for (let at = channel; at < once.data.length; at += 4) {
      most = Math.max(most, Math.abs(grown.data[at] - once.data[at]));
    }
    return most;
  }));
  return [differ, grown.bases, once.data.some((value) => value > 0)];
}"""


@pytest.mark.parametrize("split", [False, True])
@pytest.mark.parametrize(
    ("rows", "steps", "width", "ratio"),
    [(12, 1, 430, 1), (12, 5, 430, 2), (60, 1, 433, 1), (60, 7, 433, 1.5), (150, 3, 130, 1)],
)
def test_grown_row_by_row_it_is_the_same_picture(
    panel: Page, rows: int, steps: int, width: int, ratio: float, split: bool
) -> None:
    asked = {"rows": rows, "steps": steps, "width": width, "split": split, "ratio": ratio}
    differ, bases, drawn = panel.evaluate(GROW, {**asked, "unnamed": 0})
    assert drawn
    assert differ < FAINT
    assert bases == 1


def test_tokens_that_are_named_later_are_labelled_then(panel: Page) -> None:
    asked = {"rows": 12, "steps": 1, "width": 430, "split": True, "ratio": 1, "unnamed": 2}
    differ, bases, _ = panel.evaluate(GROW, asked)
    assert differ < FAINT
    assert bases > 1
