"""A page that serves the panel's files, for its modules and its views."""

import http.server
import threading
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Error, Page

from gpt2.ui.assets import panel_files, panel_text

from .modules import Modules

# What Gradio does around a component: its css inside the element's id, its html, then mount().
BENCH = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Bench</title>
<link rel="stylesheet" href="/tokens.css"></head><body>
<main><h1>Bench</h1><div id="output_view"></div><div id="attention_view"></div></main>
<script type="module">
const load = async (name, styles, server) => {
  const element = document.getElementById(name);
  const [html, ...css] = await Promise.all(
    [`${name}.html`, ...styles].map((file) => fetch(`/${file}`).then((found) => found.text())));
  const style = document.createElement("style");
  style.textContent = `#${name} { ${css.join("")} }`;
  document.head.append(style);
  element.innerHTML = html;
  const props = { value: null };
  let changed = () => {};
  const { mount } = await import(`/${name}.js`);
  mount(element, props, (_, callback) => { changed = callback; }, server);
  return (value) => { props.value = JSON.stringify(value); changed(); };
};
window.calls = [];
window.pull = async () => ({ error: "No rows." });
window.roles = async () => ({ error: "No roles." });
const server = {
  pull: (request) => { calls.push(["pull", request]); return window.pull(request); },
  roles: (request) => window.roles(request),
  watch: async (request) => { calls.push(["watch", request]); },
};
window.output = await load("output_view", ["output_view.css", "output_shade.css"], server);
window.attention = await load(
  "attention_view",
  ["attention_view.css", "attention_map.css", "attention_side.css", "inspector.css",
   "attention_atlas.css"], server);
window.runs = (await import("/runs.js")).runsOf();
window.runs.pace.note = () => {};  // how quick this machine is must change no test
window.ready = true;
</script></body></html>"""


# `restless()` says whether anything is still to happen by itself; with `hurry` it happens at once.
TIMERS = """(() => {
  const { setTimeout: begin, clearTimeout: end } = window;
  const waiting = new Set();
  window.restless = () => waiting.size > 0;
  window.setTimeout = (work, wait, ...more) => {
    const timer = begin(() => {
      waiting.delete(timer);
      work(...more);
    }, window.hurry ? 0 : wait);
    waiting.add(timer);
    return timer;
  };
  window.clearTimeout = (timer) => {
    waiting.delete(timer);
    end(timer);
  };
})()"""


class PanelFiles(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        name = self.path[1:]
        found = name in panel_files()
        text = panel_text(name) if found else "" if name else BENCH
        body, ending = text.encode(), name.rpartition(".")[2] if found else "html"
        self.send_response(200 if found or name in ("", "favicon.ico") else 404)
        kind = {"js": "javascript"}.get(ending, ending)
        self.send_header("Content-Type", f"text/{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Say nothing: the tests speak."""


@pytest.fixture
def modules() -> Iterator[Modules]:
    """For what needs no page: an eighth of a page's time."""
    modules = Modules()
    yield modules
    modules.close()


@pytest.fixture(scope="session")
def panel_url() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), PanelFiles) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="session")
def tab(browser: Browser) -> Iterator[Page]:
    """One for all tests: a page opens there in a quarter of the time."""
    context = browser.new_context()
    context.add_init_script(TIMERS)
    yield context.new_page()
    context.close()


@pytest.fixture
def panel(tab: Page, panel_url: str) -> Iterator[Page]:
    """A fresh page with both views mounted; any error it throws fails the test."""
    errors: list[str] = []

    def note(error: Error) -> None:
        errors.append(str(error))

    tab.set_viewport_size({"width": 1360, "height": 900})
    tab.on("pageerror", note)
    tab.goto(panel_url)
    tab.wait_for_function("window.ready")
    yield tab
    tab.goto(f"{panel_url}favicon.ico")  # what a page keeps as it is left, it keeps now
    tab.evaluate("sessionStorage.clear()")
    tab.remove_listener("pageerror", note)
    assert errors == []
