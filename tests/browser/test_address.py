"""The address bar holds the link to what is shown; back and forward go through runs and tabs."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Route, expect

from .reference import text_of
from .server import App
from .visit import Visit

pytestmark = pytest.mark.browser

SHOWN = "() => store.run?.status && store.missing() === null && store.drawable > 10"


def before(visit: Visit) -> str:
    """Go back; the text that is shown then."""
    visit.page.evaluate("window.before = true")
    visit.page.go_back()
    visit.until("() => !window.before")
    visit.ready()
    visit.until(SHOWN)
    return visit.written()


def linked(visit: Visit, part: str) -> None:
    """Wait until the address says `part`."""
    visit.until("(part) => location.hash.includes(part)", part)


def text_in(visit: Visit) -> str:
    """The packed text and controls of the address."""
    packed: str = visit.page.evaluate("location.hash.split('&text=')[1]")
    return packed


def test_the_address_opens_the_same_picture_elsewhere(
    visits: Callable[..., Visit], app: App
) -> None:
    visit = visits(app.url)
    assert "#" not in visit.page.url  # a page that was only looked at stays plain
    visit.generate(seed=11, new_tokens=40)
    linked(visit, "&text=")
    visit.layer.select_option("4")
    visit.head.select_option("1")
    visit.until("() => store.look.head === 1 && store.missing() === null")
    visit.page.evaluate("store.select({ query: 30, key: 7 })")
    visit.map.focus()
    for _ in range(4):
        visit.page.keyboard.press("+")
    linked(visit, "&zoom=")
    linked(visit, "map=head.5.2.sqrt.1&row=30.7&")
    visit.until(
        "() => { const w = store.window; return w && location.hash.includes("
        "`&zoom=${[w.x, w.y, w.size].map(Math.round).join('.')}&`); }"
    )
    look = (
        "() => [store.look, store.pick, store.scale, store.apart,"
        " plainText(store.run.tokens.items),"
        " store.window && [store.window.x, store.window.y, store.window.size].map(Math.round)]"
    )
    before = visit.page.evaluate(look)
    other = visits(visit.page.url)
    other.until(SHOWN)
    assert other.page.evaluate(look) == before
    assert other.written() == text_of(11, 40)
    expect(other.number("New tokens")).to_have_value("40")
    expect(other.text.locator(".selected")).to_have_attribute("data-from", "30")
    expect(other.button("whole map")).to_be_visible()
    other.until(
        "(url) => location.href.split('&text=')[0] === url", visit.page.url.split("&text=")[0]
    )


@pytest.mark.journey
def test_back_and_forward_go_through_runs(visits: Callable[..., Visit], app: App) -> None:
    visit = visits(app.url)
    first = visit.generate(seed=1, new_tokens=20)
    linked(visit, "&text=")
    address = text_in(visit)
    second = visit.generate(seed=2, new_tokens=20)
    linked(visit, "&text=")
    assert text_in(visit) != address
    for step, text in (
        (visit.page.go_back, first),
        (visit.page.go_forward, second),
        (visit.page.reload, second),
    ):
        visit.page.evaluate("window.before = true")
        step()
        visit.until("() => !window.before")
        visit.ready()
        visit.until(SHOWN)
        assert visit.written() == text


def test_a_text_of_which_only_the_end_is_seen_is_a_step_too(
    visits: Callable[..., Visit], app: App
) -> None:
    visit = visits(app.url)
    # As in a browser that was too busy to read before the text had ended.
    visit.page.evaluate(
        """() => {
          const take = store.takeStatus.bind(store);
          store.takeStatus = (value) => value.state === "running" || take(value);
        }"""
    )
    first = visit.generate(seed=1, new_tokens=20)
    linked(visit, "&text=")
    address = text_in(visit)
    visit.generate(seed=2, new_tokens=20)
    visit.until("(first) => location.hash.split('&text=')[1] !== first", address)
    assert before(visit) == first


def test_back_while_a_text_is_written_leads_to_the_one_before(
    visits: Callable[..., Visit], app: App
) -> None:
    visit = visits(app.url)
    first = visit.generate(seed=1, new_tokens=20)
    linked(visit, "&text=")
    visit.start(size="deep", new_tokens=400)
    assert before(visit) == first


def test_what_is_typed_after_a_text_is_not_put_into_its_address(
    visits: Callable[..., Visit], app: App
) -> None:
    visit = visits(app.url)
    held: list[Route] = []

    def hold_roles(route: Route) -> None:
        if '"roles"' in (route.request.post_data or ""):
            held.append(route)
        else:
            route.continue_()

    visit.page.route("**/component_server", hold_roles)
    visit.start(seed=1, new_tokens=20)
    linked(visit, "&text=")
    address = text_in(visit)
    visit.choose(seed=2)
    visit.until("() => JSON.parse(sessionStorage.getItem('gpt2 controls')).includes('2')")
    visit.page.unroute_all()
    for route in held:
        route.continue_()
    visit.finished()
    visit.layer.select_option("0")
    linked(visit, "map=head.1.")
    assert text_in(visit) == address


def test_tabs_are_steps_of_the_history(visits: Callable[..., Visit], app: App) -> None:
    visit = visits(app.url)
    write, compare = (
        visit.page.get_by_role("tab", name=name, exact=True) for name in ("Generate", "Compare")
    )
    compare.click()
    linked(visit, "tab=compare")
    link = visit.page.url
    write.click()
    visit.until("() => !location.hash.includes('tab=compare')")
    visit.page.go_back()
    expect(compare).to_have_attribute("aria-selected", "true")
    visit.page.go_forward()
    expect(write).to_have_attribute("aria-selected", "true")
    context = visit.context.browser.new_context()
    page = context.new_page()
    page.goto(link)
    expect(page.get_by_role("tab", name="Compare", exact=True)).to_have_attribute(
        "aria-selected", "true"
    )
    context.close()
