"""Gradio's two connections tell of the same moment in either order, and no answer is lost."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Request

from .server import App
from .visit import Visit

pytestmark = pytest.mark.browser

# From `held = []` on, the news that the server has closed a stream waits for `release`.
LATE_NEWS = """(() => {
  const own = window.fetch;
  window.fetch = async (...all) => {
    const response = await own(...all);
    if (!response.url.includes("/queue/data")) return response;
    const late = new TransformStream({
      async transform(bytes, controller) {
        if (window.held && new TextDecoder().decode(bytes).includes('"msg":"close_stream"')) {
          await new Promise((release) => held.push(release));
        }
        controller.enqueue(bytes);
      },
    });
    return new Response(response.body.pipeThrough(late), response);
  };
})()"""


def test_a_click_as_the_stream_closes_is_answered(visits: Callable[..., Visit], app: App) -> None:
    visit = visits(app.url)
    visit.page.add_init_script(LATE_NEWS)
    visit.open()
    visit.page.evaluate("window.held = []")
    visit.prompt.fill(
        "Once upon a time there was"
    )  # its tokens are counted: that is answered first
    visit.until("() => held.length > 0")
    with visit.page.expect_response("**/queue/join*"):
        visit.button("Generate").click()
    visit.page.evaluate("held.splice(0).forEach((release) => release()); delete window.held")
    visit.until("() => store.run?.status?.state === 'done'")


def test_the_stream_is_guarded_before_it_is_first_asked_for(
    visits: Callable[..., Visit], app: App
) -> None:
    visit = visits(app.url)
    order = visit.page.evaluate(
        """() => performance.getEntriesByType("resource")
          .filter(({ name }) => /panel.sse_keep_alive.js|queue.data/.test(name))
          .sort((one, other) => one.responseEnd - other.responseEnd)
          .map(({ name }) => new URL(name).pathname)"""
    )
    assert order[0] == "/panel/sse_keep_alive.js"
    assert len(order) > 1


def test_a_page_that_writes_holds_two_connections_and_names_its_text_in_no_log(
    visits: Callable[..., Visit], app: App
) -> None:
    """A browser opens six to one address: three pages may write side by side."""
    visit = visits(app.url)
    held: set[Request] = set()
    visit.page.on("request", lambda request: held.add(request))
    visit.page.on("requestfinished", lambda request: held.discard(request))
    visit.page.on("requestfailed", lambda request: held.discard(request))
    visit.start(size="deep", new_tokens=1000, seed=1)
    visit.until("() => store.run.tokens.ready > 30")
    run = visit.run_id()
    assert run
    open_ones = {urlsplit(request.url).path for request in held}
    # What is asked of heads comes and goes; Gradio's own, which was there before, makes the second.
    assert open_ones - {"/gradio_api/component_server/"} == {f"/runs/{run}"}
    visit.button("Stop").click()
    visit.finished()
    assert run not in app.log.read_text()
