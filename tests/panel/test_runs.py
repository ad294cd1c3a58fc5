"""The store: lost, repeated and late messages, runs that follow each other, one call at a time."""

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from .samples import attention, output, pack, words

pytestmark = pytest.mark.browser

SERVE = r"""([run, layers, heads, rows, tokens]) => {
  window.inFlight = 0;
  window.most = 0;
  window.pull = async ({ view, start, tokens_from, atlas }) => {
    inFlight += 1;
    most = Math.max(most, inFlight);
    await new Promise((resolve) => setTimeout(resolve, 20));
    inFlight -= 1;
    const n = rows[view.layer].length;
    const packed = rows[view.layer].slice(start, start + 6).map(atob).join("");
    const side = Math.ceil(n / 2 ** Math.max(0, Math.ceil(Math.log2(n / 32))));
    const maps = btoa("\0".repeat(Math.ceil((layers * heads * side * (side + 1)) / 2)));
    return { run, layers, heads, view, start, n, rows: btoa(packed), example: false,
             tokens: tokens.slice(tokens_from), tokens_start: tokens_from,
             ...(atlas ? { maps, maps_n: n } : {}) };
  };
}"""


def serve(panel: Page, n: int, *, run: str = "a", layers: int = 3, heads: int = 2) -> None:
    """Let `pull` answer for a run of n rows, at most six rows a call."""
    rows = [[pack(i, i + 1, 0, layer) for i in range(n)] for layer in range(layers)]
    panel.evaluate(SERVE, [run, layers, heads, rows, words(n + 1)])


def send(panel: Page, *messages: dict[str, Any]) -> None:
    for message in messages:
        panel.evaluate("(m) => (m.rows === undefined ? output : attention)(m)", message)


def settled(panel: Page, rows: int, tokens: int) -> None:
    panel.wait_for_function(
        "([rows, tokens]) => runs.drawable === rows && runs.run.tokens.ready === tokens",
        arg=[rows, tokens],
    )


def pulls(panel: Page) -> list[dict[str, Any]]:
    return [call for name, call in panel.evaluate("calls") if name == "pull"]


def test_messages_in_order_need_no_call(panel: Page) -> None:
    send(panel, output(words(4)), attention(0, 3))
    for n in range(4, 30):
        send(panel, output([f" w{n}"], start=n), attention(n - 1, n))
    settled(panel, 29, 30)
    panel.wait_for_function("!restless()")
    assert panel.evaluate("calls") == []


@pytest.mark.parametrize("lost", [{4}, {4, 5, 6, 15}, set(range(5, 25))])
def test_lost_messages_are_pulled(panel: Page, lost: set[int]) -> None:
    serve(panel, 29)
    send(panel, output(words(4)), attention(0, 3))
    for n in range(4, 30):
        if n not in lost:
            send(panel, output([f" w{n}"], start=n), attention(n - 1, n))
    settled(panel, 29, 30)
    assert panel.evaluate("most") == 1
    first = pulls(panel)[0]
    assert (first["run"], first["start"], first["tokens_from"]) == ("a", min(lost) - 1, min(lost))
    assert first["view"] == {"mode": "head", "layer": 1, "head": 0}
    panel.wait_for_function("runs.run.atlas.count === 29")
    expect(panel.locator(".token[data-from]")).to_have_count(30)


def test_repeated_and_late_messages_change_nothing(panel: Page) -> None:
    send(panel, output(words(4)), attention(0, 3))
    send(panel, attention(4, 5), output([" w5"], start=5))
    send(panel, attention(3, 4), output([" w4"], start=4))
    send(panel, attention(0, 3), output(words(4)), attention(4, 5))
    settled(panel, 5, 6)
    rows = panel.evaluate("Array.from({length: 5}, (_, i) => [...runs.row(i)])")
    assert [len(row) for row in rows] == [1, 2, 3, 4, 5]
    expect(panel.locator(".token[data-from]")).to_have_text([f"w{i}" for i in range(6)])


def test_rows_that_do_not_decode_are_pulled(panel: Page) -> None:
    serve(panel, 5)
    send(panel, output(words(6)), attention(0, 3))
    send(panel, {**attention(3, 5), "rows": "AAAA"})
    settled(panel, 5, 6)
    assert pulls(panel)[0]["start"] == 3


def test_an_old_run_is_ignored_and_an_unknown_one_starts_anew(panel: Page) -> None:
    send(panel, output(words(6)), attention(0, 5))
    send(panel, output(["New"], run="b", prompt=1), attention(0, 1, run="b"))
    send(panel, output([" w6"], start=6), attention(5, 6))
    settled(panel, 1, 1)
    panel.wait_for_function("document.querySelectorAll('.token[data-from]').length === 1")
    expect(panel.locator(".token[data-from]")).to_have_text("New")


def test_a_message_without_a_run_keeps_the_text(panel: Page) -> None:
    send(panel, output(words(6)), attention(0, 5))
    note = "Small: 120 of 548 MB"
    send(panel, {**output([], start=6), "run": "", "state": "loading", "note": note})
    expect(panel.get_by_text(note)).to_be_visible()
    expect(panel.locator(".token[data-from]")).to_have_count(6)


def test_continuing_keeps_the_run(panel: Page) -> None:
    send(panel, output(words(6), state="stopped"), attention(0, 5))
    send(panel, output([" on"], start=6), attention(5, 6))
    settled(panel, 6, 7)


def test_another_layer_is_pulled_and_watched(panel: Page) -> None:
    serve(panel, 20)
    send(panel, output(words(21)), attention(0, 20))
    panel.get_by_label("Layer", exact=True).select_option(label="3 of 3")
    settled(panel, 20, 21)
    look = {"mode": "head", "layer": 2, "head": 0}
    wish = {"run": "a", "view": look, "atlas": True, "on": True, "spare": 100}
    assert panel.evaluate("calls")[0] == ["watch", wish]
    assert [call["start"] for call in pulls(panel)] == [0, 6, 12, 18]
    assert panel.evaluate("most") == 1


def test_the_chosen_layer_holds_for_the_next_run(panel: Page) -> None:
    serve(panel, 4, run="b")
    send(panel, output(words(6)), attention(0, 5))
    panel.get_by_label("Layer", exact=True).select_option(label="3 of 3")
    send(panel, output(words(5), run="b"), attention(0, 4, run="b"))
    settled(panel, 4, 5)
    assert panel.evaluate("runs.look.layer") == 2
    look = {"mode": "head", "layer": 2, "head": 0}
    wish = {"run": "b", "view": look, "atlas": True, "on": True, "spare": 100}
    assert ["watch", wish] in panel.evaluate("calls")


def test_a_smaller_model_takes_the_choice_back(panel: Page) -> None:
    send(panel, output(words(6)), attention(0, 5, layers=6, heads=9))
    panel.get_by_label("Layer", exact=True).select_option(label="6 of 6")
    panel.get_by_label("Head", exact=True).select_option(label="9 of 9")
    send(panel, output(words(6), run="b"), attention(0, 5, run="b"))
    settled(panel, 5, 6)
    assert panel.evaluate("[runs.look.layer, runs.look.head]") == [1, 0]


def test_the_worked_example_fetches_its_words(panel: Page) -> None:
    serve(panel, 12, run="example")
    send(panel, {**attention(0, 12, run="example"), "example": True})
    settled(panel, 12, 13)
    expect(panel.get_by_text("Example", exact=True).first).to_be_visible()
    expect(panel.locator(".token[data-from]")).to_have_count(13)


def test_a_refusal_is_shown_and_not_asked_for_ever(panel: Page) -> None:
    panel.evaluate("window.pull = async () => ({ error: 'These rows are no longer kept.' })")
    panel.evaluate("window.hurry = true")
    send(panel, output(words(6)), attention(3, 5))
    panel.get_by_text("These rows are no longer kept.").wait_for()
    panel.wait_for_function("!restless()")
    assert 1 <= len(pulls(panel)) <= 5
