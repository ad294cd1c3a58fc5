"""What people paste and break: a sentence, everything kept, nothing executed, nobody disturbed."""

from __future__ import annotations

import json
import re
import urllib.request
from collections.abc import Callable

import pytest
from playwright.sync_api import Route, expect

from gpt2.serving.incoming import readable
from tests.hostile import HOSTILE

from .reference import PROMPT, text_of
from .server import App
from .visit import PATIENCE, Visit

pytestmark = pytest.mark.browser


@pytest.mark.parametrize(
    "prompts", [HOSTILE[::4], pytest.param(HOSTILE, marks=pytest.mark.nightly)], ids=["few", "all"]
)
def test_hostile_prompts_are_only_text(visit: Visit, prompts: tuple[str, ...]) -> None:
    visit.choose(new_tokens=3, seed=1)
    for prompt in prompts:
        text = visit.generate(prompt=prompt)
        assert text.startswith(readable(visit.prompt.input_value()))
        for query in range(visit.rows()):
            visit.page.evaluate("(query) => store.select({ query, key: 0 })", query)
        expect(visit.note).to_have_text(re.compile(r"^Done\.|ended the text here\.$"))
        visit.nothing_ran()
    assert visit.prompt.input_value() == prompts[-1]


def test_an_empty_prompt_starts_from_the_end_of_text(visit: Visit) -> None:
    visit.generate(prompt="", new_tokens=5, seed=1)
    expect(visit.text).to_contain_text("<|endoftext|>")
    assert visit.rows() == visit.tokens() - 1


@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        (
            "prompt",
            {
                "word " * 600: r"^The prompt has \d{3} tokens and this model reads at most 511",
                "x" * 100_001: r"^Prompt has 100,001 characters; at most 100,000 can be read",
            },
        ),
        (
            "seed",
            {
                "abc": r"^Seed must be a whole number from 0 to 2\^63 - 1, not 'abc'\.$",
                "-1": r"^Seed must be .*'-1'",
                "1.5": r"^Seed must be .*'1\.5'",
                "9" * 30: r"^Seed must be .*'9+\.\.\.9+'",
            },
        ),
    ],
)
def test_a_wrong_field_costs_a_sentence_and_nothing_else(
    visit: Visit, field: str, wrong: dict[str, str]
) -> None:
    text = visit.generate(new_tokens=5, seed=1)
    for value, sentence in wrong.items():
        visit.choose(**{field: value})
        visit.button("Generate").click()
        expect(visit.note).to_have_text(re.compile(sentence, re.IGNORECASE))
        assert visit.written() == text
        expect(visit.text).to_contain_text(PROMPT)
        if field == "prompt":
            assert visit.prompt.input_value() == value
    visit.screenshot("error")
    assert visit.generate(prompt=PROMPT, seed=1) == text


@pytest.mark.journey
def test_a_complaint_during_a_run_stands_until_the_next_press(visit: Visit) -> None:
    visit.start(size="deep", new_tokens=1000, seed=1)
    visit.choose(seed="abc")
    visit.button("Generate").click()
    expect(visit.note).to_have_text(re.compile("^Seed must be "))
    visit.until("(n) => store.run.tokens.ready > n + 5", visit.tokens())
    expect(visit.note).to_have_text(re.compile("^Seed must be "))
    visit.button("Stop").click()
    expect(visit.note).to_have_text("Stopped.", timeout=4000)  # sooner than by itself


def test_an_emptied_number_says_so_and_its_return_puts_the_words_back(visit: Visit) -> None:
    visit.generate(new_tokens=5, seed=1)
    before = visit.note.inner_text()
    for label in ("New tokens", "Temperature"):
        visit.number(label).fill("")
        expect(visit.note).to_have_text(
            f"{label} is empty. Type a number; left empty, it keeps the last one."
        )
        visit.number(label).fill("1")
        expect(visit.note).to_have_text(before)
    for label, value in (("New tokens", "7"), ("Temperature", "0.85")):
        visit.choose(new_tokens=7, temperature=0.85)
        visit.number(label).fill("")
        visit.number(label).press("Tab")
        expect(visit.number(label)).to_have_value(value)
        expect(visit.note).to_have_text(before)


def test_a_server_that_does_not_answer_is_no_silence(visit: Visit) -> None:
    held: list[Route] = []
    visit.page.route("**/queue/join**", lambda route: held.append(route))
    visit.button("Generate").click()
    expect(visit.note).to_have_text(re.compile("^No answer yet. Browsers open six connections"))
    for route in held:
        route.continue_()
    visit.until("() => store.run?.status")
    visit.finished()


def test_ten_megabytes_are_refused_and_disturb_nobody(
    visits: Callable[..., Visit], app: App
) -> None:
    other = visits(app.url)
    visit = visits(app.url)
    text = visit.generate(new_tokens=5, seed=1)
    other.start(new_tokens=480, seed=21)
    visit.context.grant_permissions(["clipboard-read", "clipboard-write"])
    visit.page.evaluate("navigator.clipboard.writeText('one two\\n'.repeat(1250000))")
    visit.prompt.focus()
    visit.page.keyboard.press("ControlOrMeta+a")
    visit.page.keyboard.press("ControlOrMeta+v")
    expect(visit.count).to_have_text("more than 512 tokens: too long", timeout=PATIENCE)
    visit.button("Generate").click()
    expect(visit.note).to_have_text(re.compile("^Prompt has 100,001 characters"), timeout=PATIENCE)
    assert visit.written() == text
    assert visit.prompt.evaluate("(area) => area.value.length") == 100_001
    assert other.finished() == text_of(21, 480)


def test_a_size_nobody_offers_is_refused(visit: Visit, app: App) -> None:
    for size in ("../../etc", "owner/other", "nope"):
        assert "Model size must be one of tiny, " in call(
            app, "generate", ["A fox", size, 0.8, 5, 0, 1, 0, "off"]
        )
        assert "Model size must be one of tiny, " in call(app, "attention", [size, "A fox", 0, 0])
    assert visit.generate(new_tokens=5, seed=1) == text_of(1, 5)


def call(app: App, endpoint: str, data: list[object]) -> str:
    """What the public endpoint's stream says, over plain HTTP."""
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    address = f"{app.url}gradio_api/call/{endpoint}"
    request = urllib.request.Request(
        address, json.dumps({"data": data}).encode(), {"Content-Type": "application/json"}
    )
    with direct.open(request, timeout=60) as reply:
        event = json.load(reply)["event_id"]
    with direct.open(f"{address}/{event}", timeout=60) as reply:
        stream: str = reply.read().decode()
    return stream


def comes_into_view(visit: Visit, place: str) -> None:
    visit.until(
        """(place) => {
          const element = document.querySelector(place);
          const { top, bottom } = element.getBoundingClientRect();
          return element.checkVisibility() && top >= 0 && bottom <= innerHeight;
        }""",
        place,
    )


def test_a_complaint_stands_in_view_under_generate_and_marks_its_field(visit: Visit) -> None:
    visit.page.set_viewport_size({"width": 1280, "height": 720})
    visit.choose(seed="abc")
    visit.page.get_by_role("button", name="More sampling").click()  # folded away again
    visit.page.evaluate("scrollTo(0, 0)")
    visit.button("Generate").click()
    expect(visit.note).to_contain_text("Seed must be")
    seed = visit.page.get_by_role("textbox", name="Seed")
    expect(seed).to_be_visible()
    comes_into_view(visit, "#run-note [role=status]")
    below = visit.note.bounding_box()["y"] - visit.button("Generate").bounding_box()["y"]
    assert 0 < below < 80
    expect(seed).to_have_attribute("aria-invalid", "true")
    expect(seed).to_have_accessible_description(re.compile("Seed must be"))
    visit.screenshot("error-1280")
    seed.fill("3")
    expect(seed).not_to_have_attribute("aria-invalid", "true")
    expect(visit.page.locator("#controls [aria-invalid]")).to_have_count(0)


@pytest.mark.parametrize("label", ["Temperature", "New tokens"])
def test_an_emptied_number_is_marked(visit: Visit, label: str) -> None:
    visit.number(label).fill("")
    expect(visit.number(label)).to_have_attribute("aria-invalid", "true")
    visit.number(label).fill("1")
    expect(visit.number(label)).not_to_have_attribute("aria-invalid", "true")
