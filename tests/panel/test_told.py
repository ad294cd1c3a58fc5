"""While a text grows, everything that tells of one row tells of the same one."""

import pytest
from playwright.sync_api import Page

from .samples import attention, output, words
from .test_runs import send, settled

pytestmark = pytest.mark.browser

# Sends a token at a time, and after every frame notes which row is told of: listed, said, marked in
# the text, outlined in the map; and how many rows the map has drawn.
WATCH = """async (messages) => {
  const { planOf, spanOf, yOf } = await import("/geometry.js");
  const part = (name) => document.querySelector(`[data-part=${name}]`);
  const index = (text) => Number(text.match(/\\((\\d+)\\)/)?.[1] ?? -1);
  const accent = getComputedStyle(part("map")).getPropertyValue("--accent").trim();
  const alike = ([r, g, b]) => `#${[r, g, b].map((v) => v.toString(16).padStart(2, "0")).join("")}`;
  const outlined = (count) => {
    const size = spanOf(count, runs.running);
    const plan = planOf(part("over").clientWidth, { x: 0, y: 0, size }, runs.splits);
    const c = part("over").getContext("2d");
    const edge = (i) => c.getImageData(plan.gutter - 1, yOf(plan, i + 0.5), 1, 1).data;
    return Array.from({ length: count }, (_, i) => i).filter((i) => alike(edge(i)) === accent);
  };
  const seen = [];
  const began = performance.now();
  for (const message of messages) {
    (message.rows === undefined ? output : attention)(message);
    await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
    const marked = document.querySelectorAll(".token.selected");
    seen.push([index(part("place").textContent), index(part("readout").textContent),
      ...Array.from(marked, (span) => Number(span.dataset.from)), ...outlined(runs.drawable)]);
  }
  return [seen, performance.now() - began];
}"""


def test_list_sentence_text_and_outline_tell_of_one_row_at_every_moment(panel: Page) -> None:
    send(panel, output(words(8)), attention(0, 7))
    settled(panel, 7, 8)
    panel.wait_for_function("document.querySelector('.token.selected')")
    grown = [m for n in range(8, 60) for m in (output([f" w{n}"], start=n), attention(n - 1, n))]
    seen, took = panel.evaluate(WATCH, grown)
    rows = [told[0] for told in seen]
    assert [told for told in seen if told != [told[0]] * 4] == []
    assert rows == sorted(rows)
    assert 2 < len(set(rows)) <= took / 300 + 2, "it moves on, and slowly enough to be read"
    assert panel.evaluate("runs.drawable") == 59
    end, _ = panel.evaluate(WATCH, [output([], start=60, state="done")])
    assert end == [[58] * 4]
