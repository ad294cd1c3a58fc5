"""axe-core on the page in every state: nothing serious, nothing critical."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from .server import App
from .visit import Visit

pytestmark = pytest.mark.browser


def check(visit: Visit, state: str) -> None:
    report = Axe().run(visit.page).response
    assert len(report["passes"]) > 20, "axe did not look at the page"
    found = [
        f"{state}: {violation['id']} ({violation['impact']}): {node['html'][:200]}"
        for violation in report["violations"]
        if violation["impact"] in ("serious", "critical")
        for node in violation["nodes"]
    ]
    assert found == []


# On a push, in each theme half of the states: the look of each is in the other half too.
HALVES = {
    "light": {"start", "midway", "a complaint", "after"},
    "dark": {"More sampling open", "a cell chosen", "Model size open", "after"},
}


@pytest.mark.parametrize("every", [False, pytest.param(True, marks=pytest.mark.nightly)])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_state(visit: Visit, theme: str, every: bool) -> None:
    def look(state: str) -> None:
        if every or state in HALVES[theme]:
            check(visit, state)

    visit.open(f"?__theme={theme}")
    expect(visit.page.locator("body.dark")).to_have_count(int(theme == "dark"))
    look("start")
    visit.more_sampling()
    look("More sampling open")
    visit.start(size="deep", new_tokens=1000, seed=1)
    visit.until("() => store.drawable > 20")
    visit.screenshot(f"midway-{theme}")
    look("midway")
    assert visit.state() == "running"
    visit.button("Stop").click()
    visit.finished()
    visit.map.click(position=visit.cell(16, 3))
    look("a cell chosen")
    visit.choose(seed="abc")
    visit.button("Generate").click()
    expect(visit.note).to_contain_text("Seed must be")
    look("a complaint")
    visit.size.click()
    expect(visit.page.get_by_role("listbox")).to_be_visible()
    look("Model size open")
    visit.page.get_by_role("heading", level=1).click()
    expect(visit.page.get_by_role("listbox")).to_be_hidden()
    visit.generate(size="Tiny", new_tokens=120, seed=3)
    look("after")
    visit.screenshot(f"after-{theme}")


def test_a_phone(visits: Callable[..., Visit], app: App) -> None:
    phone = visits(app.url, viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    check(phone, "start")
    phone.generate(new_tokens=20, seed=1)
    check(phone, "after")
