"""How often a browser wants messages: as often as it can draw them."""

import pytest
from playwright.sync_api import Page

pytestmark = pytest.mark.browser


def told(panel: Page, lateness: list[float]) -> list[float]:
    """What the server is told, frame after frame, by a browser whose frames are so late."""
    found: list[float] = panel.evaluate(
        """async (lateness) => {
          const { Pace } = await import("/pace.js");
          const told = [];
          const pace = new Pace(() => told.push(pace.spare));
          for (const late of lateness) pace.drawn(late);
          return told;
        }""",
        lateness,
    )
    return found


def test_a_quick_browser_asks_for_every_message(panel: Page) -> None:
    asked = told(panel, [12.0] * 30)
    assert asked[-1] < 15
    assert len(asked) <= 4


def test_a_slow_browser_asks_for_fewer_and_a_steady_one_says_nothing(panel: Page) -> None:
    assert told(panel, [50.0, 42.0] * 20) == []
    asked = told(panel, [150.0] * 30)
    assert asked == sorted(asked)
    assert asked[-1] > 150


def test_it_never_asks_for_longer_than_a_quarter_of_a_second(panel: Page) -> None:
    assert told(panel, [2000.0] * 30)[-1] == 250
