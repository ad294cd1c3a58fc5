"""What ends a run from outside: a server that is gone or refuses, text that none can send."""

from __future__ import annotations

import base64
import json
import re
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import expect

from .comparing import Comparing
from .conftest import SLOWLY
from .server import App, serve
from .visit import PATIENCE, Visit

pytestmark = pytest.mark.browser

TYPE = """(area, text) => {
  area.value = JSON.parse(text);
  area.dispatchEvent(new InputEvent("input", { bubbles: true }));
}"""


def test_half_an_emoji_is_written_after_and_survives_reloads(visit: Visit) -> None:
    visit.choose(new_tokens=5, seed=1)
    visit.prompt.evaluate(TYPE, r'"A half \ud83e fox"')
    visit.button("Generate").click()
    visit.until("() => store.run?.status")
    visit.finished()
    assert visit.written().startswith("A half \ufffd fox")
    visit.page.wait_for_function("sessionStorage.getItem('gpt2 controls')?.includes('half')")
    visit.page.reload()
    visit.ready()
    visit.until("() => store.run?.status")
    assert visit.written().startswith("A half \ufffd fox")
    visit.generate(prompt="A whole 🦊", new_tokens=5, seed=1)


def test_what_is_refused_is_a_sentence_at_the_field(visit: Visit) -> None:
    text = visit.generate(new_tokens=5, seed=1)
    visit.more_sampling()
    visit.page.get_by_role("textbox", name="Seed").evaluate(TYPE, f'"{"9" * 5_000_000}"')
    visit.button("Generate").click()
    expect(visit.note).to_have_text(re.compile("^What was sent has 5.0 MB; at most 650 kB can be"))
    assert visit.written() == text
    assert visit.generate(new_tokens=5, seed=1) == text


def test_a_refusal_is_said_in_the_comparison_too(visit: Visit) -> None:
    refusal = {"detail": "Your calls are too many."}
    tab = Comparing(visit)
    visit.page.route(
        "**/queue/join**", lambda route: route.fulfill(status=429, body=json.dumps(refusal))
    )
    tab.button("Compare").click()
    expect(visit.page.locator("#compare-columns [data-part=general]")).to_have_text(
        refusal["detail"]
    )


def test_a_link_that_unpacks_to_too_much_is_an_empty_one(
    visits: Callable[..., Visit], app: App
) -> None:
    squeezer = zlib.compressobj(9, wbits=-15)
    million = squeezer.compress(bytes(1_000_000)) + squeezer.flush(zlib.Z_FULL_FLUSH)
    bomb = 200 * million + squeezer.flush()
    packed = base64.urlsafe_b64encode(bomb).decode().rstrip("=")
    visit = visits(app.url)
    visit.page.goto("about:blank")
    visit.open(f"#map=head.1.2.sqrt.1&text={packed}")
    assert visit.generate(new_tokens=5, seed=1)


def test_a_dead_server_is_said_in_the_page(
    visits: Callable[..., Visit], deep: Path, tmp_path: Path
) -> None:
    with serve(tmp_path, SLOWLY, GPT2_MODEL=str(deep)) as app:
        visit = visits(app.url)
        visit.start(size="deep", new_tokens=900, seed=1)
        visit.until("() => store.run.tokens.ready > 20")
        assert app.process
        app.process.kill()
        gone = re.compile("^The server no longer answers. What is written stays here")
        expect(visit.note).to_have_text(gone, timeout=PATIENCE)
        assert visit.tokens() > 20
        assert not visit.page.evaluate("store.running")
