"""A visitor in the Compare tab."""

from __future__ import annotations

import re

from playwright.sync_api import Locator, expect

from .visit import PATIENCE, Visit


class Comparing:
    """The tab's controls and views on an open page."""

    def __init__(self, visit: Visit) -> None:
        self.visit = visit
        self.page = visit.page
        self.page.get_by_role("tab", name="Compare").click()
        expect(self.memory).to_have_text(re.compile("^Memory: "))
        # Its module, which names it and its fields, may still be on its way.
        expect(self.surprise).to_be_attached()

    @property
    def memory(self) -> Locator:
        return self.page.locator("#compare-memory p")

    @property
    def status(self) -> Locator:
        return self.page.locator("#compare-status p")

    @property
    def columns(self) -> Locator:
        return self.page.locator("#compare-columns .column")

    @property
    def notes(self) -> Locator:
        return self.columns.locator("[data-part=note]")

    @property
    def surprise(self) -> Locator:
        return self.page.get_by_role("region", name="Surprise")

    @property
    def figures(self) -> Locator:
        return self.page.get_by_role("region", name="Figures")

    def button(self, name: str) -> Locator:
        return self.page.get_by_role("button", name=name, exact=True)

    def choose(self, *sizes: str, prompt: str | None = None, new_tokens: int | None = None) -> None:
        """These sizes and no others, in this order."""
        box = self.page.get_by_role("combobox", name="Sizes")
        box.click()
        for _ in range(4):
            box.press("Backspace")
        for size in sizes:
            box.fill(size)
            self.page.get_by_role("option", name=re.compile(rf"^\W*{size} ·")).click()
        box.press("Escape")
        if prompt is not None:
            self.page.get_by_role("textbox", name="Prompt", exact=True).fill(prompt)
        if new_tokens is not None:
            field = self.page.get_by_role("spinbutton", name="number input for New tokens")
            field.fill(str(new_tokens))
            field.press("Tab")

    def start(self) -> None:
        """Compare; returns once every column of the new comparison has its text begun."""
        before = [self.store(at, "run && run.id") for at in range(self.columns.count())]
        self.button("Compare").click()
        expect(self.columns).to_have_count(2)
        for at in (0, 1):
            old = before[at] if at < len(before) else None
            self.page.wait_for_function(
                """async ([at, old]) => {
                  const { runsOf } = await import(new URL("panel/runs.js", document.baseURI));
                  const { run } = runsOf(`compare-${at}`);
                  return run?.status && run.id !== old;
                }""",
                arg=[at, old],
                timeout=PATIENCE,
            )

    def seed(self, seed: int) -> None:
        field = self.page.locator("#compare-controls").get_by_role("textbox", name="Seed")
        if not field.is_visible():
            self.page.locator("#compare-controls").get_by_role(
                "button", name="More sampling"
            ).click()
        field.fill(str(seed))

    def finish(self, state: str = "Done|itself") -> None:
        """Wait until every column says so, and the figures are there."""
        for at in range(self.columns.count()):
            expect(self.notes.nth(at)).to_have_text(re.compile(state), timeout=PATIENCE)

    def store(self, at: int, expression: str) -> object:
        """What a column's store knows: `run` stands for its run."""
        return self.page.evaluate(
            """async ([at, expression]) => {
              const module = (name) => import(new URL(`panel/${name}.js`, document.baseURI));
              const runs = (await module("runs")).runsOf(`compare-${at}`);
              const { plainText } = await module("token_label");
              const run = runs.run;
              return new Function("runs", "run", "plainText", `return ${expression}`)(
                runs, run, plainText);
            }""",
            [at, expression],
        )

    def text(self, at: int) -> str:
        return str(self.store(at, "plainText(run.tokens.items)"))
