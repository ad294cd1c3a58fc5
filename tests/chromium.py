"""The machine's own browser, driven by Playwright; and when a page has come to rest."""

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from playwright.sync_api import Browser, Page, sync_playwright

CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
FIREFOX = ("firefox-esr", "firefox")


@contextmanager
def chromium() -> Iterator[Browser]:
    """A headless browser until the block ends. Without one there is no test of the page."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=_found(CHROMIUM), args=["--no-sandbox"]
        )
        yield browser
        browser.close()


@contextmanager
def firefox() -> Iterator[Browser]:
    """The same of Firefox as it is, through WebDriver BiDi; Playwright's own is a changed one."""
    with sync_playwright() as playwright:
        browser = playwright.firefox.launch(executable_path=_found(FIREFOX), channel="moz-firefox")
        yield browser
        browser.close()


@contextmanager
def chosen() -> Iterator[Browser]:
    """Chromium, or what GPT2_TEST_BROWSER names."""
    with {"chromium": chromium, "firefox": firefox}[
        os.environ.get("GPT2_TEST_BROWSER", "chromium")
    ]() as browser:
        yield browser


def _found(names: Sequence[str]) -> str:
    found = next(filter(None, map(shutil.which, names)), None)
    if found is None:
        raise FileNotFoundError(f"this needs a browser; none of {', '.join(names)} is on the PATH")
    return found


def drawn(page: Page) -> None:
    """Until all that was asked for is on the screen: nothing moves, and two frames have passed."""
    page.evaluate(_DRAWN)


_DRAWN = """async () => {
  const frame = () => new Promise((done) => requestAnimationFrame(done));
  await frame();
  await Promise.allSettled(document.getAnimations()
    .filter(({ effect }) => effect.getComputedTiming().endTime < Infinity)
    .map(({ finished }) => finished));
  await frame();
}"""


def would_have_run(page: Page) -> None:
    """Until any picture that cannot be had would have called its `onerror`: this one's has."""
    page.evaluate(_PICTURE)


_PICTURE = """() => new Promise((done) => {
  const picture = new Image();
  picture.addEventListener("error", () => setTimeout(done));
  picture.src = "data:image/png,none";
})"""
