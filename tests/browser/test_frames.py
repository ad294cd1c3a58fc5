"""A page on which nothing happens paints nothing."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from .server import App
from .visit import Visit

pytestmark = pytest.mark.browser

# How often a frame is asked for, by whomever: put in before any script of the page.
COUNT = """(() => {
  const own = window.requestAnimationFrame;
  window.frames_asked = 0;
  window.requestAnimationFrame = (callback) => {
    frames_asked += 1;
    return own.call(window, callback);
  };
})()"""


def test_a_page_at_rest_asks_for_no_frames(visits: Callable[..., Visit], app: App) -> None:
    visit = visits(app.url)
    visit.page.add_init_script(COUNT)
    visit.open()
    visit.generate(new_tokens=5, seed=1)
    in_a_second = """async () => {
      const before = frames_asked;
      await new Promise((later) => { setTimeout(later, 1000); });
      return frames_asked - before;
    }"""
    # The picture that Gradio shows while it loads takes some seconds to come to rest.
    assert any(visit.page.evaluate(in_a_second) == 0 for _ in range(20))
