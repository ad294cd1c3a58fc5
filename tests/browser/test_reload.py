"""A reload loses nothing: by hand, a hundred times, or by Gradio after the server was killed."""

from __future__ import annotations

import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Route, expect

from gpt2.loading import load
from gpt2.sampling import USUAL
from gpt2.ui.page.restoring import RELOADED
from tests.hub_standin import write_gpt2_folder
from tests.small import until

from .conftest import DEEP, SLOWLY
from .reference import PROMPT, one_thread
from .server import App, free_port, serve
from .visit import PATIENCE, Visit

pytestmark = pytest.mark.browser


@pytest.mark.journey
def test_a_reload_mid_run_shows_the_text_as_it_goes_on(visit: Visit, deep: Path) -> None:
    visit.start(size="deep", new_tokens=800, seed=31)
    visit.until("() => store.run.tokens.ready > 20")
    run, kept = visit.run_id(), visit.tokens()
    visit.page.reload()
    visit.ready()
    visit.until("(n) => store.run.status && store.run.tokens.ready > n + 20", kept)
    assert visit.run_id() == run
    visit.screenshot("reloaded")
    visit.button("Stop").click()
    written = visit.finished()
    with one_thread():
        whole = PROMPT + load(str(deep)).complete(PROMPT, replace(USUAL, seed=31), 850)
    assert whole.startswith(written)
    expect(visit.text).to_contain_text(written[:50])
    assert visit.rows() == visit.tokens() - 1
    more = visit.go_on(new_tokens=20)
    assert whole.startswith(more)


def test_a_duplicated_tab_reads_the_text_as_it_is_written(
    visits: Callable[..., Visit], app: App
) -> None:
    visit, other = visits(app.url), visits(app.url)
    visit.start(size="deep", new_tokens=900, seed=31)
    visit.until("() => store.run.tokens.ready > 20")
    count, kept = visit.tokens(), visit.page.evaluate("Object.entries(sessionStorage)")
    other.page.evaluate("(all) => all.forEach((one) => sessionStorage.setItem(...one))", kept)
    other.page.reload()
    other.ready()
    other.until("(n) => store.run?.status && store.run.tokens.ready > n + 20", count)
    assert other.run_id() == visit.run_id()
    other.button("Stop").click()
    assert other.finished() == visit.finished()
    assert visit.state() == "stopped"
    assert visit.rows() == other.rows() == visit.tokens() - 1


def test_controls_are_as_they_were_left(visit: Visit) -> None:
    visit.choose(size="Small")
    # Until the server has answered, the field takes what Tiny can read at most.
    expect(visit.number("New tokens")).to_have_attribute("max", "1023")
    visit.choose(prompt="Not yet <b>sent</b>", new_tokens=900, temperature=1.2, seed=5)
    visit.page.wait_for_function("sessionStorage.getItem('gpt2 controls')?.includes('900')")
    visit.page.reload()
    expect(visit.prompt).to_have_value("Not yet <b>sent</b>")
    expect(visit.number("New tokens")).to_have_value("900")
    expect(visit.number("Temperature")).to_have_value("1.2")
    expect(visit.size).to_have_value("Small · 124 M · 548 MB to download")
    visit.more_sampling()
    expect(visit.page.get_by_role("textbox", name="Seed")).to_have_value("5")


def test_another_tab_does_not_see_the_text(visits: Callable[..., Visit], app: App) -> None:
    visit = visits(app.url)
    visit.generate(new_tokens=5, seed=1)
    other = visit.context.new_page()
    other.goto(app.url)
    expect(other.get_by_role("textbox", name="Prompt", exact=True)).to_be_visible()
    assert other.evaluate("sessionStorage.length") <= 1
    assert other.evaluate("sessionStorage.getItem('gpt2 text')") is None


@pytest.mark.parametrize("count", [8, pytest.param(100, marks=pytest.mark.nightly)])
def test_many_reloads(visit: Visit, app: App, count: int) -> None:
    text = visit.generate(new_tokens=30, seed=3)
    for _ in range(count - 1):
        visit.page.goto(app.url, wait_until="commit")
    visit.page.wait_for_load_state()  # Chromium refuses to reload a page that is being replaced
    visit.page.reload()
    visit.ready()
    visit.until("() => store.run?.status")
    assert visit.written() == text
    assert visit.generate(new_tokens=30, seed=3) == text


@pytest.mark.nightly  # a push proves its halves: a dead server, and a reload mid run
def test_a_server_killed_mid_run_and_started_again(
    visits: Callable[..., Visit], tmp_path: Path
) -> None:
    write_gpt2_folder(tmp_path / "deeper", replace(DEEP, num_blocks=100))
    port = str(free_port())
    settings = {"GRADIO_SERVER_PORT": port, "GPT2_MODEL": str(tmp_path / "deeper")}
    with serve(tmp_path, SLOWLY, **settings) as app:
        visit = visits(app.url)
        visit.start(size="deeper", new_tokens=900, seed=1)
        visit.until("() => store.run.tokens.ready > 20")
        app.process.send_signal(signal.SIGKILL)
        app.process.wait()
        before = visit.written()
        with serve(tmp_path, SLOWLY, **settings):
            # Gradio notices that the server is back and loads the page again, by itself.
            expect(visit.note).to_have_text(RELOADED, timeout=PATIENCE)
            visit.see_store()
            assert visit.written().startswith(before)
            kept = visit.tokens()
            visit.button("Continue").click()
            visit.until("(n) => store.run.tokens.ready > n", kept)
            visit.button("Stop").click()
            assert visit.finished().startswith(before)


# The worked example is ready later than what was kept.
SLOW_EXAMPLE = """
import runpy, sys, time
sys.path.insert(0, ".")
from gpt2.ui.session.attention_requests import AttentionRequests
example = AttentionRequests.example
AttentionRequests.example = lambda self: time.sleep(1) or example(self)
runpy.run_path("app.py", run_name="__main__")
"""


def test_a_panel_that_is_slow_to_load_shows_the_text_that_came_back(
    visits: Callable[..., Visit], tmp_path: Path
) -> None:
    with serve(tmp_path, ("-c", SLOW_EXAMPLE)) as app:
        visit = visits(app.url)
        visit.generate(seed=1, new_tokens=20)
        rows = visit.rows()
        held: list[Route] = []

        def hold(route: Route) -> None:
            held.append(route)

        visit.page.route("**/panel/all.js", hold)
        over: list[str] = []
        for event in ("requestfinished", "requestfailed"):  # a stream that was read is let go
            visit.page.on(event, lambda request: over.append(request.url))
        visit.page.reload(wait_until="commit")
        over.clear()

        def said() -> bool:
            visit.page.evaluate("0")  # lets what has happened be told
            return bool(held) and any("queue/data" in url for url in over)

        assert until(said, 60), "the server has nothing to say of the page"
        held.pop().continue_()
        visit.ready()
        assert visit.rows() == rows
        visit.close()
