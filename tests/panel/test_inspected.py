"""What the page asks of single tokens: once, in blocks, again where the server was busy."""

import pytest
from playwright.sync_api import Page

pytestmark = pytest.mark.browser

SETUP = """async (answers) => {
  const { Inspected } = await import("/inspected.js");
  window.questions = [];
  const choice = { likeliest: [], rest: [0, 0], bits: 1, entropy: 1, kept: 1 };
  const block = (start) => ({
    start, before: false, sampling: {}, vocabulary: 9, starts: false,
    choices: Array.from({ length: 64 }, () => choice),
  });
  const server = { inspect: async (request) => {
    questions.push(request);
    return answers.length ? answers.shift() : block(request.start);
  } };
  const told = [];
  window.asker = { server, run: { id: "a", tokens: { ready: 200 } }, running: false,
    tell: (kind) => { told.push(kind); window.again?.(); } };
  window.inspected = new Inspected(asker);
}"""


def test_a_block_is_asked_for_once(panel: Page) -> None:
    panel.evaluate(SETUP, [])
    panel.evaluate("[3, 4, 63, 64].forEach((at) => inspected.choiceAt(at, false))")
    panel.wait_for_function("inspected.choices.size === 128")
    panel.evaluate("[5, 127].forEach((at) => inspected.choiceAt(at, false))")
    assert panel.evaluate("questions.map(({ start }) => start)") == [0, 64]


def test_a_busy_server_is_asked_again_but_not_for_ever(panel: Page) -> None:
    panel.evaluate(SETUP, [{"error": "busy"}, {"error": "busy"}])
    panel.evaluate("window.again = () => inspected.choiceAt(3, false); again()")
    panel.wait_for_function("inspected.choiceAt(3, false)?.bits === 1")
    assert panel.evaluate("[questions.length, inspected.failed]") == [3, ""]
    panel.evaluate(SETUP, [{"error": "gone"}] * 20)
    panel.evaluate("window.again = () => inspected.choiceAt(3, false); again()")
    panel.wait_for_function("inspected.tries === 5")
    panel.evaluate("delete window.again")
    assert panel.evaluate("[questions.length, inspected.failed]") == [5, "gone"]


def test_what_comes_for_a_text_that_was_left_is_dropped(panel: Page) -> None:
    panel.evaluate(SETUP, [])
    panel.evaluate("""async () => {
      inspected.choiceAt(3, false);
      asker.run = { id: "b", tokens: { ready: 9 } };
      inspected.reset();
      await new Promise((go) => setTimeout(go));
    }""")
    assert panel.evaluate("inspected.choices.size") == 0
