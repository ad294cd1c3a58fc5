"""The texts of a page: the way from the original, undo, redo, what a tab or a link keeps."""

from __future__ import annotations

from typing import Any

import pytest

from .modules import Modules

SETUP = """async () => {
  const { Branches, unpacked } = await import("/branches.js");
  globalThis.unpacked = unpacked;
  globalThis.branches = new Branches();
  globalThis.all = new Map();
  globalThis.say = (id, tokens, changes = {}, paced = false) => {
    const run = all.get(id) ?? { id, tokens: { items: [], ready: 0 } };
    all.set(id, run);
    run.tokens.items.push(...tokens);
    run.tokens.ready = run.tokens.items.length;
    run.status = { state: "done", size: "tiny", prompt: 1, n: run.tokens.ready, off: [],
      stats: { seed: "7" }, sampling: { temperature: 1 }, branch: null, ...changes };
    return branches.heed(run, paced);
  };
  globalThis.fork = (id, of, tokens, token = "x", off = []) =>
    say(id, tokens, { branch: { of, at: 1, token }, off });
  globalThis.names = () => branches.path().map((key) => branches.nameOf(key));
  globalThis.state = () => [names(), branches.shown.length, branches.at];
}"""


@pytest.fixture
def tree(modules: Modules) -> Modules:
    modules.evaluate(SETUP)
    return modules


def state(tree: Modules, steps: str) -> Any:
    return tree.evaluate(f"async () => {{ {steps}; return state(); }}")


FORKED = 'say("a", ["one", "two", "three"]); fork("b", "a", ["one", "x", "y"])'


def test_forks_undo_and_redo(tree: Modules) -> None:
    assert state(tree, 'say("a", ["one", "two", "three"])') == [["original"], 1, 0]
    assert state(tree, 'fork("b", "a", ["one", "x", "y"])') == [["original", "“x” at 1"], 2, 1]
    assert state(tree, 'fork("c", "b", ["one", "z", "y"], "z")') == [
        ["original", "“x” at 1", "“z” at 1"],
        3,
        2,
    ]
    assert state(tree, 'branches.goTo("b", 1); say("b", [])') == [["original", "“x” at 1"], 3, 1]
    assert tree.evaluate("() => [branches.before, branches.after]") == ["a", "c"]
    # What was undone gives way to another step, and stays in the tree.
    assert state(tree, 'fork("d", "b", ["one", "x", "y"], null, [[0, 1]])') == [
        ["original", "“x” at 1", "1 head off"],
        3,
        2,
    ]
    assert tree.evaluate("() => [branches.tree(), branches.texts.size]") == [
        ["a", "b", "c", "d"],
        4,
    ]


def test_a_new_text_is_another_step_and_no_branch(tree: Modules) -> None:
    assert state(tree, f'{FORKED}; say("e", ["other"])') == [["original"], 3, 2]
    assert tree.evaluate("() => [branches.tree(), branches.before]") == [["e"], "b"]
    assert state(tree, 'branches.goTo("b", 1); say("b", [])')[0] == ["original", "“x” at 1"]


def test_continue_is_a_step_and_the_text_before_it_stays(tree: Modules) -> None:
    steps = """say("a", ["one", "two"], {state: "stopped"}); fork("b", "a", ["one", "x"]);
      branches.goTo("a", 0); say("a", [], {state: "stopped"});
      say("a", ["three"], {state: "running"}); say("a", ["four"])"""
    assert state(tree, steps) == [["original", "continued at 2"], 2, 1]
    before = tree.evaluate("() => branches.snapshot(branches.before)")
    assert (before["tokens"], before["state"]) == (["one", "two"], "stopped")
    # What was made of the shorter one is still made of that.
    assert tree.evaluate("() => branches.path('b').length") == 2
    assert tree.evaluate("() => branches.path('b')[0] === branches.before")
    # The server gives the shorter one back under another id.
    assert state(
        tree,
        'branches.goTo(branches.before, 0); say("new", ["one", "two"], {state: "stopped"})',
    ) == [["original"], 2, 0]
    assert tree.evaluate("() => branches.texts.get(branches.id).run") == "new"
    assert state(tree, 'branches.goTo("a", 1); say("a", [])')[0] == ["original", "continued at 2"]


def test_what_went_on_and_ended_before_it_was_heard_of_is_a_step_too(tree: Modules) -> None:
    steps = 'say("a", ["one", "two"]); say("a", ["three"])'
    assert state(tree, steps) == [["original", "continued at 2"], 2, 1]


def test_a_text_of_one_token_a_click_is_one_step(tree: Modules) -> None:
    steps = 'say("a", ["one"]); say("a", ["two"], {state: "running"}, true); say("a", [], {}, true)'
    assert state(tree, steps) == [["original"], 1, 0]


def test_where_a_branch_differs(tree: Modules) -> None:
    tree.evaluate(f'async () => {{ {FORKED}; fork("c", "b", ["one", "x", "y", "z"], null); }}')
    assert tree.evaluate("() => ['b', 'c', 'a'].map((key) => branches.divergence(key))") == [
        1,
        -1,
        -1,
    ]


KEPT = """async (most) => {
  const { Branches } = await import("/branches.js");
  const kept = branches.packed(most ?? undefined);
  const again = new Branches();
  again.expected = () => JSON.parse(JSON.stringify(kept));
  const { status, tokens } = all.get(branches.texts.get(branches.id).run);
  again.heed({ id: "fresh", tokens, status });
  const look = (one) => [one.path().map((key) => one.nameOf(key)), one.at, one.shown.length,
    [...one.texts.keys()].map((key) => one.snapshot(key))];
  return [kept, look(branches), look(again), JSON.stringify(again.packed(most ?? undefined)) ===
    JSON.stringify(kept)];
}"""


def test_what_is_kept_is_given_back_with_the_text(tree: Modules) -> None:
    tree.evaluate(
        f'async () => {{ {FORKED}; fork("c", "a", ["one", "two", "q"], null, [[0, 1]]); }}'
    )
    kept, before, after, same = tree.evaluate(KEPT)
    assert before == after
    assert same  # so that an address stays as it is
    assert [text["tokens"] for text in kept["texts"]] == [
        ["one", "two", "three"],
        ["x", "y"],
        ["q"],
    ]


def test_a_link_holds_one_tree_and_not_more_than_fits(tree: Modules) -> None:
    tree.evaluate(
        f'async () => {{ say("z", ["far"]); {FORKED}; fork("c", "a", ["one", "w"], "w"); }}'
    )
    assert len(tree.evaluate(KEPT, 100)[0]["texts"]) == 3
    short = tree.evaluate(KEPT, 4)[0]["texts"]
    assert [text["tokens"] for text in short] == [["one", "two", "three"], ["w"]]
    assert (
        tree.evaluate("() => { branches.goTo('z', 0); say('z', []); return branches.packed(99); }")
        is None
    )


def test_another_text_than_was_kept_does_not_get_its_branches(tree: Modules) -> None:
    tree.evaluate(f"async () => {{ {FORKED}; }}")
    script = """async () => {
      const { Branches } = await import("/branches.js");
      const again = new Branches();
      again.expected = () => branches.packed();
      const { tokens, status } = all.get("b");
      again.heed({ id: "n", tokens, status: { ...status, stats: { seed: "8" } } });
      return again.texts.size;
    }"""
    assert tree.evaluate(script) == 1


@pytest.mark.parametrize(
    "change",
    ["kept.texts[1].of = 1", "kept.texts[1].of = 7", "kept.texts[0].tokens = 'one'",
     "kept.texts[1].tokens = [3]", "kept.shown = [9]", "kept.at = 5", "kept.texts = {}",
     "kept.texts[1].off = [[1]]", "kept.texts[1].token = {}", "kept = 'none'", "kept = null",
     "kept.texts = Array.from({ length: 101 }, () => kept.texts[0])", "kept.texts[1].same = -1"],
)  # fmt: skip
def test_what_somebody_made_up_is_nothing(tree: Modules, change: str) -> None:
    tree.evaluate(f"async () => {{ {FORKED}; }}")
    script = f"() => {{ let kept = branches.packed(); {change}; return unpacked(kept); }}"
    assert tree.evaluate(script) is None


def test_the_oldest_of_many_is_forgotten_and_what_was_made_of_it_stays(tree: Modules) -> None:
    tree.evaluate(
        """() => { say("a", ["one"]); fork("b", "a", ["one", "x"]);
        for (let i = 0; i < 120; i++) say(`n${i}`, [`text ${i}`]); }"""
    )
    size, newest, kept = tree.evaluate(
        """() => [branches.texts.size, branches.id,
        branches.shown.every((key) => branches.texts.has(key))]"""
    )
    assert (size, newest, kept) == (100, "n119", True)


def test_the_branches_beside_each_other_are_whole_and_few(tree: Modules) -> None:
    found = tree.evaluate(
        """async () => {
        globalThis.document = globalThis.document ?? {};
        const { besideEachOther } = await import("/branching.js");
        say("a", ["one", "two"], {state: "stopped"});
        say("a", ["z"], {state: "running"});
        say("a", []);
        const alone = besideEachOther(branches).length;
        for (const id of ["b", "c", "d", "e", "f"]) fork(id, "a", ["one", id], id);
        branches.goTo("c", branches.shown.indexOf("c")); say("c", []);
        return [alone, besideEachOther(branches)];
      }"""
    )
    assert found == [1, ["a", "c", "e", "f"]]
