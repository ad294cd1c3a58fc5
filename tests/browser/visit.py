"""One open page, driven the way a visitor does, and read the way its own modules see it."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import (
    Browser,
    ConsoleMessage,
    Dialog,
    Locator,
    Page,
    Request,
    TimeoutError,
    ViewportSize,
    expect,
)

# Nothing here takes long; a machine that is busy with other work does.
PATIENCE = 60_000
DESKTOP: ViewportSize = {"width": 1360, "height": 900}
expect.set_options(timeout=20_000)

# The page's modules are singletons, so importing them again finds the store the views read.
_STORE = """async () => {
  const module = (name) => import(new URL(`panel/${name}.js`, document.baseURI));
  window.store = (await module("runs")).runsOf();
  window.plainText = (await module("token_label")).plainText;
  window.geometry = await module("geometry");
}"""

# The worked example is drawn and the prompt's tokens are counted.
_READY = r"""(count) => {
  const map = document.querySelector("#attention [data-part=map]");
  return /[1-9]\d* rows/.test(map?.getAttribute("aria-label"))
    && RegExp(count).test(document.querySelector("#count p")?.textContent);
}"""
COUNTED = r"^\d[\d,]* of [\d,]+ tokens$"
TOO_LONG = r"^\d[\d,]* tokens; this model takes at most [\d,]+ with one new token: [\d,]+ too many$"

# After a run the clearest head is opened, unless the reader has chosen one.
_OPENED = """(store.chosen || store.run.status.state === "error" || store.run.rowCount < 2
  || store.run.opened === null || store.run.shown)"""

# What there is of it.
_FOUND = """() => ["#attention [data-part=map]", "#count p", "#status", "#run-note [role=status]"]
  .map((place) => document.querySelector(place))
  .map((found) => found && (found.getAttribute("aria-label") ?? found.textContent))"""

# Everything that is seen of a run while it grows: lengths of the text, rows told by the map's name.
_WATCH = """() => {
  const text = document.querySelector("#output [role=group]");
  const map = document.querySelector('#attention [data-part=map]');
  window.seen = { lengths: new Set(), rows: new Set(), thumbs: new Set(), notes: new Set() };
  const look = () => {
    seen.lengths.add(text.textContent.length);
    seen.rows.add(Number(map.getAttribute("aria-label").match(/(\\d+) rows/)[1]));
    seen.notes.add(document.querySelector("#run-note [role=status]").textContent);
    seen.thumbs.add(window.store?.run?.atlas?.count);
  };
  const observer = new MutationObserver(look);
  const all = { subtree: true, childList: true, characterData: true, attributes: true };
  observer.observe(document.querySelector("#output"), all);
  observer.observe(document.querySelector("#run-note"), all);
  observer.observe(map, { attributes: true });
}"""


class Visit:
    """A page in a browser of its own, as of another visitor: others share nothing with it."""

    def __init__(self, browser: Browser, url: str, **context: Any) -> None:
        self.url = url
        self.context = browser.new_context(**{"viewport": DESKTOP, **context})
        self.context.set_default_timeout(PATIENCE)
        self.page: Page = self.context.new_page()
        self.errors: list[str] = []
        self.dialogs: list[str] = []
        self.said: list[str] = []
        self.hosts: set[str] = set()
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", self._console)
        self.page.on("dialog", self._dialog)
        self.page.on("request", self._request)
        self.page.on("requestfailed", lambda request: self.said.append(f"failed: {request.url}"))
        self.open()

    def open(self, query: str = "") -> None:
        """Load the page and wait until it answers, with the worked example drawn."""
        self.page.goto(self.url + query)
        self.ready()

    def renew(self) -> None:
        """Become somebody else, in the same tab: nothing of the one before is kept."""
        self.page.evaluate("sessionStorage.clear(), localStorage.clear()")
        self.context.clear_cookies()
        self.context.clear_permissions()
        self.page.set_viewport_size(DESKTOP)
        for noted in (self.errors, self.dialogs, self.said, self.hosts):
            noted.clear()
        self.open()

    def leave(self) -> None:
        """Go to another page of the server, which has no tab to keep anything in."""
        self.page.unroute_all(behavior="ignoreErrors")
        self.page.goto(self.url + "health")

    def check(self) -> None:
        """Nothing went wrong, and nobody else was asked."""
        assert self.errors == []
        assert self.dialogs == []
        assert self.hosts == {"127.0.0.1"}

    def ready(self, count: str = COUNTED) -> None:
        """Wait until the page answers; `count` is what stands under the prompt by then."""
        try:
            self.until(_READY, count)  # looks at every frame, where `expect` looks once a second
        except TimeoutError as error:
            found = self.page.evaluate(_FOUND)
            raise AssertionError(f"the page is not ready: {found}; {self.said}") from error
        self.see_store()

    def see_store(self) -> None:
        """Find the page's own store, for the questions below; anew after every load."""
        self.page.evaluate(_STORE)

    def close(self) -> None:
        self.context.close()

    def _console(self, message: ConsoleMessage) -> None:
        self.said.append(message.text)
        if "Content Security Policy" in message.text:
            self.errors.append(message.text)

    def _dialog(self, dialog: Dialog) -> None:
        self.dialogs.append(dialog.message)
        dialog.dismiss()

    def _request(self, request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme not in ("data", "blob"):
            self.hosts.add(parts.hostname or request.url)

    # --- what is on the page ---------------------------------------------------------------------

    def button(self, name: str) -> Locator:
        return self.page.get_by_role("button", name=name, exact=True)

    @property
    def prompt(self) -> Locator:
        return self.page.get_by_role("textbox", name="Prompt", exact=True)

    @property
    def count(self) -> Locator:
        return self.page.locator("#count p")

    @property
    def status(self) -> Locator:
        return self.page.locator("#status p")

    @property
    def size(self) -> Locator:
        return self.page.get_by_role("combobox", name="Model size", exact=True)

    @property
    def output(self) -> Locator:
        return self.page.get_by_role("region", name="Output", exact=True)

    @property
    def attention(self) -> Locator:
        return self.page.get_by_role("region", name="Attention", exact=True)

    @property
    def text(self) -> Locator:
        return self.output.get_by_role("group")

    @property
    def note(self) -> Locator:
        return self.page.locator("#run-note").get_by_role("status")

    @property
    def map(self) -> Locator:
        return self.attention.get_by_role("application", name=re.compile("^Attention map"))

    @property
    def atlas(self) -> Locator:
        return self.attention.get_by_role("application", name=re.compile("^Atlas of all heads"))

    def thumbnail(self, layer: int, head: int) -> dict[str, float]:
        """The middle of a head's thumbnail in the atlas, as Playwright's `position`."""
        layers, heads = self.page.evaluate("[store.run.layers, store.run.heads]")
        return dict(
            self.atlas.evaluate(
                """(canvas, [layers, heads, layer, head]) => {
                  const step = (canvas.clientWidth - 24) / heads;
                  return { x: 24 + (head + 0.5) * step, y: 18 + (layer + 0.5) * step };
                }""",
                [layers, heads, layer, head],
            )
        )

    @property
    def layer(self) -> Locator:
        return self.attention.get_by_role("combobox", name="Layer", exact=True)

    @property
    def head(self) -> Locator:
        return self.attention.get_by_role("combobox", name="Head", exact=True)

    def number(self, label: str) -> Locator:
        return self.page.get_by_role("spinbutton", name=f"number input for {label}", exact=True)

    # --- what a visitor does ---------------------------------------------------------------------

    def choose(
        self,
        *,
        prompt: str | None = None,
        size: str | None = None,
        new_tokens: int | None = None,
        temperature: float | None = None,
        seed: object = None,
    ) -> None:
        """Fill in the controls named."""
        if size is not None:
            self.size.click()
            # Playwright cannot take a slash in a pattern.
            name = re.compile(rf"\b{re.escape(size).replace('/', '.')} ·")
            self.page.get_by_role("listbox").get_by_role("option", name=name).click()
        if prompt is not None:
            self.prompt.fill(prompt)
        for label, value in (("New tokens", new_tokens), ("Temperature", temperature)):
            if value is not None:
                self.number(label).fill(str(value))
                self.number(label).press("Tab")
        if seed is not None:
            self.more_sampling()
            self.page.get_by_role("textbox", name="Seed").fill(str(seed))

    def more_sampling(self) -> None:
        """Open More sampling if it is closed."""
        seed = self.page.get_by_role("textbox", name="Seed")
        if not seed.is_visible():
            self.page.get_by_role("button", name="More sampling").click()
            seed.wait_for()

    def start(self, **choices: Any) -> None:
        """Generate; returns once the new run has its first token."""
        self.choose(**choices)
        before = self.run_id()
        self.button("Generate").click()
        self.until("(old) => store.run?.status && store.run.id !== old", before)

    def finished(self) -> str:
        """Wait for the end of the run and for the last missing row; the text."""
        self.until(
            "() => ['done', 'stopped', 'error'].includes(store.run?.status?.state)"
            " && store.missing() === null && " + _OPENED
        )
        return self.written()

    def generate(self, **choices: Any) -> str:
        """A whole run; its text, prompt included."""
        self.start(**choices)
        return self.finished()

    def go_on(self, **choices: Any) -> str:
        """Continue, to the end of it."""
        self.choose(**choices)
        tokens = self.tokens()
        self.button("Continue").click()
        # Not the tokens, which may be pulled before the message that says it goes on.
        self.until("(n) => store.run.status.n > n", tokens)
        return self.finished()

    # --- what the page knows ---------------------------------------------------------------------

    def until(self, condition: str, argument: object = None) -> None:
        self.page.wait_for_function(condition, arg=argument, timeout=PATIENCE)

    def run_id(self) -> str | None:
        found: str | None = self.page.evaluate("store.run?.id ?? null")
        return found

    def state(self) -> str:
        return str(self.page.evaluate("store.run?.status?.state"))

    def rows(self) -> int:
        return int(self.page.evaluate("store.drawable"))

    def tokens(self) -> int:
        return int(self.page.evaluate("store.run.tokens.ready"))

    def written(self) -> str:
        """The text the tokens spell."""
        return str(self.page.evaluate("plainText(store.run.tokens.items)"))

    def watch(self) -> None:
        """Note from now on what is to be seen, for `seen`."""
        self.page.evaluate(_WATCH)

    def seen(self, what: str) -> list[Any]:
        return list(self.page.evaluate("(what) => [...seen[what]]", what))

    def nothing_ran(self) -> None:
        """Fails when one of the texts in tests/hostile.py was more than text."""
        assert self.page.evaluate("document.body.getAttribute('x')") is None
        assert self.page.locator("img[src='x'], svg[onload], iframe").count() == 0
        assert self.page.locator("#output script, #attention script").count() == 0
        expect(self.page).to_have_title("GPT-2, from scratch")

    def cell(self, query: int, key: int) -> dict[str, float]:
        """The middle of a cell on the map, as Playwright's `position`."""
        return dict(
            self.map.evaluate(
                """(canvas, [query, key]) => {
                  const size = geometry.spanOf(store.drawable, store.running);
                  const window = { x: 0, y: 0, size };
                  const plan = geometry.planOf(canvas.clientWidth, window, store.splits);
                  const x = key < plan.shift ? plan.gutter + 3 : geometry.xOf(plan, key + 0.5);
                  return { x, y: geometry.yOf(plan, query + 0.5) };
                }""",
                [query, key],
            )
        )

    def screenshot(self, name: str) -> None:
        """Keep what the page looks like, if somebody wants to look."""
        folder = os.environ.get("GPT2_SCREENSHOTS")
        if folder:
            Path(folder).mkdir(parents=True, exist_ok=True)
            self.page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)
