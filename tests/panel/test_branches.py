"""The ends a text has been given: the way from the original, undo, redo, where two differ."""

import pytest
from playwright.sync_api import Page

pytestmark = pytest.mark.browser

WALK = """async () => {
  const { Branches } = await import("/branches.js");
  const branches = new Branches();
  const enter = (id, of, tokens, token = "x", off = []) =>
    branches.enter(id, { branch: of && { of, at: 1, token }, off }, tokens);
  const state = () => [branches.path(), branches.before, branches.after];
  const seen = [];
  enter("a", null, ["one", "two", "three"]);
  seen.push(state());
  enter("b", "a", ["one", "x", "y"]);
  enter("c", "b", ["one", "x", "z"]);
  seen.push(state());
  enter("b", "a", ["one", "x", "y"]);
  seen.push(state());
  enter("d", "b", ["one", "x", "y"], null, [[0, 1]]);
  seen.push(state());
  seen.push(["b", "c", "d", "a"].map((id) => branches.divergence(id)));
  enter("e", null, ["other"]);
  seen.push(state());
  return seen;
}"""


def test_forks_undo_redo_and_a_new_text(panel: Page) -> None:
    first, deep, undone, other, parted, fresh = panel.evaluate(WALK)
    assert first == [["a"], None, None]
    assert deep == [["a", "b", "c"], "b", None]
    assert undone == [["a", "b"], "a", "c"]
    assert other == [["a", "b", "d"], "b", None]  # what was undone gives way
    assert parted == [1, 2, -1, -1]
    assert fresh == [["e"], None, None]
