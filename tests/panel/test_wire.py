"""What travels: bytes made here, rows read there."""

import base64
from typing import Any

import pytest
from playwright.sync_api import Page

from .samples import pack, row

pytestmark = pytest.mark.browser


def split(panel: Page, rows: str, start: int, heads: int) -> Any:
    return panel.evaluate(
        """async ([rows, start, heads]) => {
          const wire = await import("/wire.js");
          try {
            return wire.splitRows(wire.decodeBase64(rows), start, heads).map((r) => [...r]);
          } catch (error) { return error.message; }
        }""",
        [rows, start, heads],
    )


@pytest.mark.parametrize(
    ("start", "stop", "heads"), [(0, 1, 1), (0, 9, 4), (7, 8, 12), (30, 40, 25)]
)
def test_rows_are_cut_where_packed(panel: Page, start: int, stop: int, heads: int) -> None:
    expected = [list(row(i, heads)) for i in range(start, stop)]
    assert split(panel, pack(start, stop, heads), start, heads) == expected


def test_every_byte_value_survives(panel: Page) -> None:
    rows = base64.b64encode(bytes(range(256))).decode()
    assert split(panel, rows, 255, 1) == [list(range(256))]


def test_no_rows_is_no_rows(panel: Page) -> None:
    assert split(panel, "", 5, 4) == []


def test_bytes_that_do_not_end_on_a_row_are_refused(panel: Page) -> None:
    short = base64.b64encode(row(3, 2)[:-1]).decode()
    assert split(panel, short, 3, 2) == "row 3 needs 8 bytes and 7 are left"
    assert "cannot be" in split(panel, short, -1, 2)
    assert "cannot be" in split(panel, short, 3, 0)


def test_heads_lie_one_after_another_and_weights_are_squares(panel: Page) -> None:
    packed = base64.b64encode(row(4, 3)).decode()
    weights = panel.evaluate(
        """async (packed) => {
          const wire = await import("/wire.js");
          const bytes = wire.headOf(wire.decodeBase64(packed), 2, 4);
          return [...bytes].map(wire.weightOf);
        }""",
        packed,
    )
    assert weights == pytest.approx([0.36, 0, 0.64, 0, 0], abs=0.004)


def test_arrivals_close_gaps_in_any_order_and_drop_repeats(panel: Page) -> None:
    steps = panel.evaluate(
        """async () => {
          const { Arrivals } = await import("/wire.js");
          const a = new Arrivals();
          const put = (start, list) => [a.put(start, list), a.ready];
          return [put(0, ["a", "b"]), put(3, ["d"]), put(3, ["x"]), put(2, ["c", "y"]),
                  put(-1, ["z"]), put(0.5, ["z"]), a.items.join("")];
        }"""
    )
    assert steps == [[2, 2], [1, 2], [0, 2], [1, 4], [0, 4], [0, 4], "abcd"]
