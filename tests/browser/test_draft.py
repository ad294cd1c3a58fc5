"""Draft with: off by default; the same text; guesses, numbers and legend to be seen."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, expect

from tests.deeper_tiny import write_deeper_tiny

from .server import App, serve
from .test_accessibility import check
from .visit import Visit

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def drafting_app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    folder: Path = tmp_path_factory.mktemp("models") / "deeper"
    write_deeper_tiny(folder)
    with serve(tmp_path_factory.mktemp("app"), GPT2_MODEL=str(folder)) as app:
        yield app


def draft_with(visit: Visit) -> Locator:
    visit.more_sampling()
    return visit.page.get_by_role("combobox", name="Draft with", exact=True)


def test_a_drafted_text_is_the_same_and_shows_its_guesses(
    visits: Callable[..., Visit], drafting_app: App
) -> None:
    visit = visits(drafting_app.url)
    legend = visit.output.locator("[data-part=draft]")
    # Of this seed's first guesses, made whatever the clock says, some are right and some wrong.
    plain = visit.generate(size="deeper", seed=28, new_tokens=80)
    expect(legend).to_be_hidden()
    draft_with(visit).click()
    visit.page.get_by_role("listbox").get_by_role("option", name="Tiny").click()
    assert visit.generate(new_tokens=80) == plain
    right, wrong = (visit.page.evaluate(f"store.run.draft.{name}") for name in ("right", "wrong"))
    assert right > 0
    assert wrong > 0
    expect(legend).to_be_visible()
    expect(legend).to_contain_text("guessed right by Tiny")
    expect(legend).to_contain_text(f"{right} of {right + wrong} guesses right")
    expect(legend).to_contain_text(re.compile(r"\d\.\d\d.: (faster|slower) than without drafting"))
    expect(visit.text.locator(".kept")).to_have_count(right)
    expect(visit.text.locator(".corrected")).to_have_count(wrong)
    expect(visit.text.locator("del")).to_have_count(wrong)
    check(visit, "drafted")
    visit.screenshot("drafted")
    legend.get_by_role("checkbox", name="Show guesses").uncheck()
    expect(visit.text.locator("del").first).to_be_hidden()
    shown = re.sub("⟨[0-9a-f ]+⟩", "\ufffd", visit.text.inner_text())  # bytes of half a character
    assert " ".join(shown.split()) == " ".join(plain.split())


def test_only_a_smaller_size_of_the_vocabulary_can_draft(visit: Visit) -> None:
    draft = draft_with(visit)
    options = visit.page.get_by_role("listbox").get_by_role("option")
    hint = visit.page.locator("#draft")
    expect(draft).to_have_value("Off")
    expect(hint).to_contain_text("No draft model available")
    draft.click()
    expect(options).to_have_text([re.compile("Off")])
    visit.page.keyboard.press("Escape")
    visit.choose(size="Small")
    expect(hint).to_contain_text("Worthwhile for large models")
    draft.click()
    expect(options).to_have_text([re.compile("Off"), re.compile("Distil")])
    options.last.click()
    expect(draft).to_have_value("Distil")
    visit.choose(size="Tiny")
    expect(draft).to_have_value("Off")
