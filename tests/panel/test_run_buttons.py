"""Stop and Continue, which Gradio mounts by itself."""

import pytest
from playwright.sync_api import Page, expect

from .samples import output, words
from .test_runs import send

pytestmark = pytest.mark.browser

PUT_UP = """document.querySelector("main").insertAdjacentHTML(
  "beforeend", "<button id=stop>Stop</button><button id=continue>Continue</button>")"""
# What is told of the text, and which of the buttons then has something to do.
STATES = [(None, ()), ("running", ("Stop",)), ("done", ("Continue",))]


@pytest.mark.parametrize("state, able", STATES)
def test_buttons_that_come_late_know_what_there_is_to_do(
    panel: Page, state: str | None, able: tuple[str, ...]
) -> None:
    if state:
        send(panel, output(words(4), state=state))
    panel.evaluate(PUT_UP)
    for name in ("Stop", "Continue"):
        button = panel.get_by_role("button", name=name, exact=True)
        expect(button).to_have_attribute("aria-disabled", str(name not in able).lower())
