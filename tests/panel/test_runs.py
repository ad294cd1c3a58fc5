"""The store: repeated and late frames, runs that follow each other, what it says it lacks."""

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from .samples import attention, output, words

pytestmark = pytest.mark.browser


def send(panel: Page, *messages: dict[str, Any]) -> None:
    for message in messages:
        panel.evaluate("(m) => (m.rows === undefined ? output : attention)(m)", message)


def settled(panel: Page, rows: int, tokens: int) -> None:
    panel.wait_for_function(
        "([rows, tokens]) => runs.drawable === rows && runs.run.tokens.ready === tokens",
        arg=[rows, tokens],
    )


def asked(panel: Page) -> list[dict[str, Any]]:
    """What the store has said it lacks."""
    found: list[dict[str, Any]] = panel.evaluate("calls")
    return found


def test_a_text_grows_without_a_question(panel: Page) -> None:
    send(panel, output(words(4)), attention(0, 3))
    for n in range(4, 30):
        send(panel, output([f" w{n}"], start=n), attention(n - 1, n))
    settled(panel, 29, 30)
    assert panel.evaluate("runs.run.atlas.count") == 29
    assert panel.evaluate("runs.missing()") is None
    assert len(asked(panel)) == 1, "once, when it began"


def test_a_new_text_is_asked_for_from_its_beginning(panel: Page) -> None:
    send(panel, output(words(4)), attention(0, 3))
    assert asked(panel)[0] == {"run": "a", "from": 0, "view": "head", "rows": 0, "heads": 0}


def test_whatever_is_missing_is_asked_for_from_where_it_is(panel: Page) -> None:
    """After a reload, a lost connection or a hidden tab alike: the log only grows."""
    send(panel, output(words(10)), attention(0, 6))
    panel.evaluate("runs.run.rowCount = 9")
    wish = {"run": "a", "from": 10, "view": "head.1.0", "rows": 6, "heads": 6}
    assert panel.evaluate("runs.wish()") == wish
    panel.evaluate("Object.defineProperty(document, 'hidden', { value: true })")
    unseen = wish | {"view": "", "heads": None}
    assert panel.evaluate("runs.wish()") == unseen


def test_a_text_that_is_whole_is_asked_for_no_more(panel: Page) -> None:
    send(panel, output(words(6), state="done"), attention(0, 5))
    panel.evaluate("runs.takeEnd({})")
    assert panel.evaluate("runs.wish()") is None
    panel.evaluate("runs.follow({ run: 'a', stretch: 1 })")
    assert panel.evaluate("runs.wish().from") == 6
    assert panel.evaluate("runs.beginning")


def test_repeated_and_late_messages_change_nothing(panel: Page) -> None:
    send(panel, output(words(4)), attention(0, 3))
    send(panel, attention(4, 5), output([" w5"], start=5))
    send(panel, attention(3, 4), output([" w4"], start=4))
    send(panel, attention(0, 3), output(words(4)), attention(4, 5))
    settled(panel, 5, 6)
    rows = panel.evaluate("Array.from({length: 5}, (_, i) => [...runs.row(i)])")
    assert [len(row) for row in rows] == [1, 2, 3, 4, 5]
    expect(panel.locator(".token[data-from]")).to_have_text([f"w{i}" for i in range(6)])


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


def test_another_layer_is_asked_for(panel: Page) -> None:
    rows = attention(0, 20, layer=2)
    panel.evaluate(
        "(m) => { window.serve = ({ view }) => view === 'head.2.0' && attention(m); }", rows
    )
    send(panel, output(words(21)), attention(0, 20))
    panel.get_by_label("Layer", exact=True).select_option(label="3 of 3")
    settled(panel, 20, 21)
    assert asked(panel)[-1] == {"run": "a", "from": 21, "view": "head.2.0", "rows": 0, "heads": 20}


def test_the_chosen_layer_holds_for_the_next_run(panel: Page) -> None:
    send(panel, output(words(6)), attention(0, 5))
    panel.get_by_label("Layer", exact=True).select_option(label="3 of 3")
    send(panel, output(words(5), run="b"), attention(0, 4, run="b", layer=2))
    settled(panel, 4, 5)
    assert panel.evaluate("runs.look.layer") == 2
    assert asked(panel)[-1]["view"] == "head.2.0"


def test_a_smaller_model_takes_the_choice_back(panel: Page) -> None:
    send(panel, output(words(6)), attention(0, 5, layers=6, heads=9))
    panel.get_by_label("Layer", exact=True).select_option(label="6 of 6")
    panel.get_by_label("Head", exact=True).select_option(label="9 of 9")
    send(panel, output(words(6), run="b"), attention(0, 5, run="b"))
    settled(panel, 5, 6)
    assert panel.evaluate("[runs.look.layer, runs.look.head]") == [1, 0]


def test_the_worked_example_shows_its_words(panel: Page) -> None:
    send(panel, {**attention(0, 12, run="example"), "example": True})
    panel.evaluate("(tokens) => output(tokens)", output(words(13), run="example"))
    settled(panel, 12, 13)
    expect(panel.get_by_text("Example", exact=True).first).to_be_visible()
    expect(panel.locator(".token[data-from]")).to_have_count(13)


def test_an_example_that_comes_late_replaces_no_text(panel: Page) -> None:
    send(panel, output(words(6), state="done"), attention(0, 5))
    panel.evaluate("runs.follow({ run: 'example', example: true })")
    assert panel.evaluate("runs.run.id") == "a"


def test_a_refusal_is_shown_and_not_asked_for_ever(panel: Page) -> None:
    send(panel, output(words(6)), attention(0, 5))
    panel.evaluate("runs.takeEnd({ error: 'These rows are no longer kept.' })")
    panel.get_by_text("These rows are no longer kept.").wait_for()
    assert panel.evaluate("runs.wish()") is None
    panel.get_by_label("Layer", exact=True).select_option(label="3 of 3")
    assert panel.evaluate("runs.wish().view") == "head.2.0", "the next choice asks again"
