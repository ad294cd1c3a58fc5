"""How often a browser wants messages: as often as it can draw them."""

from .modules import Modules


def told(modules: Modules, lateness: list[float]) -> list[float]:
    """What the server is told, frame after frame, by a browser whose frames are so late."""
    found: list[float] = modules.evaluate(
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


def test_a_quick_browser_asks_for_every_message(modules: Modules) -> None:
    asked = told(modules, [12.0] * 30)
    assert asked[-1] < 15
    assert len(asked) <= 4


def test_a_slow_browser_asks_for_fewer_and_a_steady_one_says_nothing(modules: Modules) -> None:
    assert told(modules, [50.0, 42.0] * 20) == []
    asked = told(modules, [150.0] * 30)
    assert asked == sorted(asked)
    assert asked[-1] > 150


def test_it_never_asks_for_longer_than_a_quarter_of_a_second(modules: Modules) -> None:
    assert told(modules, [2000.0] * 30)[-1] == 250
