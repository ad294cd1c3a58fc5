"""The README's moving picture: `python -m tests.browser.moving_picture OUT.webp`.

Films the real page: a prompt is typed, text and map grow, a pointer reads a few cells.
"""

from __future__ import annotations

import io
import sys
import tempfile
import time
from pathlib import Path

from PIL import Image

from tests.chromium import chromium, drawn

from .paced import paced
from .server import serve
from .visit import Visit

PROMPT = "Once upon a time there was a little fox who lived"
SEED = 7
NEW_TOKENS = 48
SCREEN = {"width": 1180, "height": 840}
WIDTH = 900
# Seconds a frame is seen: as long as it took to take, but a busy machine makes no slow film.
LEAST, MOST = 0.08, 0.12

# The built-in model writes a page in a second: too fast to watch a map grow.
SECONDS_A_TOKEN = 0.08

# The key that a row reads most, the first token and the row's own aside.
STRONGEST = """(query) => {
  const row = Array.from(store.row(query)).slice(1, -1);
  return 1 + row.indexOf(Math.max(...row));
}"""


class Film:
    """Frames of one page, and how long each of them was to be seen."""

    def __init__(self, visit: Visit) -> None:
        self._visit = visit
        self._frames: list[Image.Image] = []
        self._seconds: list[float] = []
        self._last = time.monotonic()

    def shoot(self, seconds: float = 0) -> None:
        """One frame, seen for `seconds` more than others."""
        data = self._visit.page.screenshot(caret="initial")
        frame = Image.open(io.BytesIO(data)).convert("RGB")
        height = round(frame.height * WIDTH / frame.width)
        self._frames.append(frame.resize((WIDTH, height), Image.Resampling.LANCZOS))
        now = time.monotonic()
        self._seconds.append(min(max(LEAST, now - self._last), MOST) + seconds)
        self._last = now

    def save(self, path: Path) -> None:
        first, *others = self._frames
        first.save(
            path,
            save_all=True,
            append_images=others,
            duration=[round(1000 * seconds) for seconds in self._seconds],
            loop=0,
            quality=82,
            method=6,
        )
        size = path.stat().st_size / 1e6
        print(f"{path}: {len(self._frames)} frames, {sum(self._seconds):.1f} s, {size:.2f} MB")


def perform(visit: Visit, film: Film) -> None:
    """What is filmed."""
    film.shoot(0.2)
    visit.prompt.focus()
    for word in PROMPT.split(" "):
        visit.page.keyboard.type(word if word == PROMPT.split(" ")[0] else f" {word}")
        film.shoot()
    visit.page.keyboard.press("Shift+Enter")
    while visit.state() != "done":
        film.shoot()
    visit.finished()
    film.shoot(0.3)
    for query in range(visit.rows() - 4, visit.rows() - 24, -4):
        visit.map.hover(position=visit.cell(query, visit.page.evaluate(STRONGEST, query)))
        drawn(visit.page)  # the tints fade in
        film.shoot(0.25)
    film.shoot(1.2)


def main(path: Path) -> None:
    with (
        tempfile.TemporaryDirectory() as folder,
        serve(Path(folder), paced(SECONDS_A_TOKEN)) as app,
        chromium() as browser,
    ):
        visit = Visit(browser, app.url, viewport=SCREEN)
        visit.choose(prompt="", new_tokens=NEW_TOKENS, seed=SEED)
        visit.page.get_by_role("button", name="More sampling").click()
        visit.page.mouse.click(2, 2)
        film = Film(visit)
        perform(visit, film)
        visit.close()
    film.save(path)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]))
