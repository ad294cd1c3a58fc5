"""A page that serves the panel's files, for its modules and its views."""

import http.server
import threading
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Error, Page

from gpt2.ui.page.assets import panel_files, panel_text

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
window.roles = async () => ({ error: "No roles." });
const server = { roles: (request) => window.roles(request) };
window.runs = (await import("/runs.js")).runsOf();
const { KIND } = await import("/log_reader.js");
// Instead of a connection: what the store lacks is noted, and `serve` may bring it.
window.serve = () => {};
runs.readWith({
  add() {},
  poke() {
    const wish = runs.wish();
    if (!wish) return;
    calls.push(wish);
    queueMicrotask(() => window.serve(wish));
  },
  async once([{ wish }]) {
    calls.push(wish);
    window.serve(wish);
  },
});
const follow = await load("output_view", ["output_view.css", "output_shade.css"], server);
await load(
  "attention_view",
  ["attention_view.css", "attention_map.css", "attention_side.css", "inspector.css",
   "attention_atlas.css"], server);
const bytesIn = (text) => Uint8Array.from(atob(text ?? ""), (c) => c.charCodeAt(0));
const json = (value) => new TextEncoder().encode(JSON.stringify(value));
// A token as it travels: 12 bytes and its own.
const packed = (token) => {
  const special = token.special !== undefined;
  const own = token.hex !== undefined
    ? Uint8Array.from(token.hex.match(/../g), (byte) => parseInt(byte, 16))
    : new TextEncoder().encode(special ? token.special : token);
  const bytes = new Uint8Array(12 + own.length);
  bytes[8] = special ? 1 : 0;
  new DataView(bytes.buffer).setUint16(10, own.length, true);
  bytes.set(own, 12);
  return [...bytes];
};
const said = {};
const read = {};
const frame = (run, kind, payload, start = 0, count = 0) =>
  runs.take({ kind: KIND[kind], index: 0, start, count, payload }, (said[run] ??= {}));
const status = (run) => frame(run, "status", json({ ...said[run].status, read: read[run] ?? 0 }));
const begin = (value) => {
  if (runs.run?.id !== value.run) follow({ run: value.run, example: value.example ?? false });
  said[value.run] ??= { run: value.run };
};
// What a server says of a text and of its rows, as frames of its log; a note as Gradio brings it.
window.output = (value) => {
  if (!value.run) return follow(value);
  begin(value);
  const { tokens, start, guesses = [], run, ...rest } = value;
  said[run].status = { draft: null, stretch: 0, off: [], branch: null, sampling: null, ...rest };
  status(run);
  const bytes = Uint8Array.from(tokens.flatMap(packed));
  frame(run, "tokens", bytes, start, tokens.length);
  if (runs.run.id === run) runs.run.guesses.put(start, guesses);
};
window.attention = (value) => {
  begin(value);
  const { run, rows, atlas, start, n, tokens, ...shape } = value;
  frame(run, "shape", json({ run, row: null, ...shape }));
  read[run] = Math.max(read[run] ?? 0, n);
  said[run].status ??= { n: n + 1, stretch: 0, off: [], branch: null, draft: null };
  if (said[run].status.state || value.example) status(run);
  if (rows) frame(run, "rows", bytesIn(rows), start);
  if (atlas) frame(run, "heads", bytesIn(atlas), start);
};
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
