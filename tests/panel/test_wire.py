"""What travels: bytes made here, rows read there."""

import base64
from typing import Any

import numpy as np
import pytest

from gpt2.interpret.atlas import packed_rows, pooled_map
from gpt2.interpret.row_codec import to_levels, to_weights

from .modules import Modules
from .samples import pack, row


def split(modules: Modules, rows: str, start: int) -> Any:
    return modules.evaluate(
        """async ([rows, start]) => {
          const wire = await import("/wire.js");
          try {
            const bytes = Uint8Array.from(atob(rows), (c) => c.charCodeAt(0));
            return wire.splitRows(bytes, start).map((r) => [...r]);
          } catch (error) { return error.message; }
        }""",
        [rows, start],
    )


@pytest.mark.parametrize(("start", "stop"), [(0, 1), (0, 9), (7, 8), (30, 40)])
def test_rows_are_cut_where_packed(modules: Modules, start: int, stop: int) -> None:
    expected = [list(row(i)) for i in range(start, stop)]
    assert split(modules, pack(start, stop), start) == expected


def test_every_byte_value_survives(modules: Modules) -> None:
    rows = base64.b64encode(bytes(range(256))).decode()
    assert split(modules, rows, 255) == [list(range(256))]


def test_no_rows_is_no_rows(modules: Modules) -> None:
    assert split(modules, "", 5) == []


def test_bytes_that_do_not_end_on_a_row_are_refused(modules: Modules) -> None:
    short = base64.b64encode(row(3)[:-1]).decode()
    assert split(modules, short, 3) == "row 3 needs 4 bytes and 3 are left"
    assert "cannot be" in split(modules, short, -1)


DECODE = """async ({ rows, atlas, heads, bins, count }) => {
  const wire = await import("/wire.js");
  const { AtlasStore } = await import("/atlas_store.js");
  const store = new AtlasStore(heads, bins);
  store.push(0, Uint8Array.from(atob(atlas), (c) => c.charCodeAt(0)));
  store.settle();
  return {
    weights: rows.map((row) => [...wire.weightsOf(Uint8Array.from(row))]),
    plain: [...wire.weightsOf(Uint8Array.from([0, 255, 51]), true)],
    count: store.count,
    thumbs: Array.from({ length: heads * store.side }, (_, line) => {
      const at = Math.floor(line / store.side) * bins + (line % store.side);
      return [store.first[at], ...store.rest.slice(at * bins, at * bins + store.side)];
    }),
  };
}"""


@pytest.mark.parametrize("where", ["modules", pytest.param("panel", marks=pytest.mark.browser)])
@pytest.mark.parametrize(("count", "bins"), [(1, 4), (9, 4), (40, 8), (70, 32)])
def test_what_is_encoded_here_is_decoded_there(
    request: pytest.FixtureRequest, where: str, count: int, bins: int
) -> None:
    """Every row sums to 1 and is what Python reads in it; thumbnails grow into the pooled map."""
    random = np.random.default_rng(count)
    rows = []
    for i in range(count):
        weights = np.exp(4 * random.standard_normal((2, 3, i + 1))).astype(np.float32)
        rows.append(to_levels(weights / weights.sum(-1, keepdims=True)))
    first = [row[0, 0] for row in rows]
    found = request.getfixturevalue(where).evaluate(DECODE, {
        "rows": [levels.tolist() for levels in first],
        "atlas": base64.b64encode(packed_rows(rows, bins)).decode(),
        "heads": 6, "bins": bins, "count": count,
    })  # fmt: skip
    for levels, weights in zip(first, found["weights"], strict=True):
        np.testing.assert_allclose(weights, to_weights(levels), atol=2e-5)
        assert sum(weights) == pytest.approx(1, abs=1e-5)
    assert found["plain"] == pytest.approx([0, 1, 0.04])
    assert found["count"] == count
    pooled = pooled_map(rows, bins)
    np.testing.assert_array_equal(found["thumbs"], pooled.reshape(-1, pooled.shape[-1]))


def test_arrivals_close_gaps_in_any_order_and_drop_repeats(modules: Modules) -> None:
    steps = modules.evaluate(
        """async () => {
          const { Arrivals } = await import("/wire.js");
          const a = new Arrivals();
          const put = (start, list) => [a.put(start, list), a.ready];
          return [put(0, ["a", "b"]), put(3, ["d"]), put(3, ["x"]), put(2, ["c", "y"]),
                  put(-1, ["z"]), put(0.5, ["z"]), a.items.join("")];
        }"""
    )
    assert steps == [[2, 2], [1, 2], [0, 2], [1, 4], [0, 4], [0, 4], "abcd"]
