"""The machine's own Chromium, driven by Playwright; and when a page has come to rest."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, Page, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome")


@contextmanager
def chromium() -> Iterator[Browser]:
    """A headless browser until the block ends. Without one there is no test of the page."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        raise FileNotFoundError(f"this needs a Chromium; none of {', '.join(NAMES)} is on the PATH")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield browser
        browser.close()


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
