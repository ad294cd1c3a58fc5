"""The names people find the controls by, and what the controls do before anything runs."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Route, expect

from gpt2.config import SIZES
from gpt2.tokenizer import Tokenizer
from tests.chromium import drawn

from .visit import Visit

pytestmark = pytest.mark.browser


@pytest.mark.journey
def test_everything_has_its_name(visit: Visit) -> None:
    page = visit.page
    expect(page).to_have_title("GPT-2, from scratch")
    expect(page.get_by_role("heading", level=1)).to_have_text("GPT-2, from scratch")
    for control in (
        visit.prompt,
        visit.size,
        visit.button("Generate"),
        visit.button("Stop"),
        visit.button("Continue"),
        visit.output,
        visit.attention,
        visit.layer,
        visit.head,
        page.get_by_text("Shift + Enter generates"),
    ):
        expect(control).to_be_visible()
    # Arrows would cover the last digit; Firefox shows them always.
    expect(visit.number("New tokens")).to_have_css("appearance", "textfield")
    expect(visit.size).to_have_value(re.compile("^Tiny"))
    expect(visit.status).to_have_text(re.compile(r"^Tiny · float32 · .*ready$"))
    expect(visit.layer.locator("option")).to_have_text([f"{i} of 6" for i in range(1, 7)])
    expect(visit.head.locator("option")).to_have_text(
        [re.compile(f"^{i} of 4") for i in range(1, 5)]
    )


def test_sliders_have_their_range(visit: Visit) -> None:
    slider = visit.page.get_by_role("slider")
    expect(slider).to_have_count(2)
    visit.more_sampling()
    expect(slider).to_have_count(4)
    for label, low, high in (
        ("Temperature", "0", "2"),
        ("New tokens", "1", "511"),
        ("Top-k", "0", "200"),
        ("Top-p", "0.05", "1"),
    ):
        named = visit.page.get_by_role("slider", name=label)
        expect(named).to_have_attribute("min", low)
        expect(named).to_have_attribute("max", high)


@pytest.mark.journey
def test_the_count_follows_every_key(visit: Visit) -> None:
    tokens = Tokenizer(SIZES["tiny"].config.vocab_size)
    expect(visit.count).to_have_text("12 of 512 tokens")
    visit.prompt.fill("")
    expect(visit.count).to_have_text("0 of 512 tokens")
    for text in ("The", "The fox", "The fox sat"):
        visit.prompt.press_sequentially(text.removeprefix(visit.prompt.input_value()))
        expect(visit.count).to_have_text(f"{len(tokens.encode(text))} of 512 tokens")
    visit.prompt.fill("word " * 600)
    expect(visit.count).to_have_text(
        re.compile(r"^[\d,]+ tokens; .* at most 511 with one new token: [\d,]+ too many$")
    )


def test_an_example_fills_the_prompt(visit: Visit) -> None:
    visit.button("The old king").click()
    expect(visit.prompt).to_have_value("The old king said to his three sons")
    expect(visit.count).to_have_text(re.compile(r"^\d+ of 512 tokens$"))
    visit.button("Oh, look!").click()
    expect(visit.prompt).to_have_value('"Oh, look!" cried Alice, and')


def test_each_size_says_what_it_weighs_and_whether_it_is_here(visit: Visit) -> None:
    visit.size.click()
    options = visit.page.get_by_role("listbox").get_by_role("option")
    expect(options.first).to_be_visible()
    # The last one is the folder the server's owner names.
    texts = [text.removeprefix("✓").strip() for text in options.all_inner_texts()]
    assert len(texts) == len(SIZES) + 1
    assert re.fullmatch(r"Tiny · 2\.3 M · built in", texts[0])
    for text, size in zip(texts[1:], list(SIZES.values())[1:], strict=False):
        count = size.download_bytes
        weight = f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"
        cost = "built in" if size.built_in else f"{weight} to download"
        assert re.fullmatch(rf"{size.label} · [\d.,]+ [MB] · {cost}", text)
    assert texts[-1].endswith("deep · local")


def test_a_smaller_context_takes_the_slider_along(visit: Visit) -> None:
    visit.choose(size="Small")
    slider = visit.page.get_by_role("slider", name="New tokens")
    expect(slider).to_have_attribute("max", "1023")
    expect(visit.status).to_have_text("Small · float32 · downloaded on first use")
    expect(visit.count).to_have_text(re.compile("of 1,024 tokens$"))
    visit.choose(new_tokens=1000)
    visit.choose(size="Tiny")
    expect(slider).to_have_attribute("max", "511")
    expect(visit.number("New tokens")).to_have_value("511")
    expect(visit.count).to_have_text("12 of 512 tokens")


def test_what_is_typed_while_the_server_is_asked_stays(visit: Visit) -> None:
    visit.choose(size="Small")
    slider = visit.page.get_by_role("slider", name="New tokens")
    expect(slider).to_have_attribute("max", "1023")
    visit.choose(new_tokens=1000)
    held: list[Route] | None = []

    def hold(route: Route) -> None:
        if held is None:
            route.continue_()
        else:
            held.append(route)

    visit.page.route("**/queue/join**", hold)
    visit.choose(size="Tiny")
    visit.number("New tokens").fill("20")
    for route in held:
        route.continue_()
    held = None
    expect(slider).to_have_attribute("max", "511")
    expect(visit.number("New tokens")).to_have_value("20")
    # Whatever else the server says of the size comes no later than these.
    expect(visit.count).to_have_text("12 of 512 tokens")
    expect(visit.status).to_have_text(re.compile("^Tiny · .*ready$"))
    drawn(visit.page)
    expect(visit.number("New tokens")).to_have_value("20")


@pytest.mark.journey
def test_the_worked_example_is_drawn_and_answers(visit: Visit) -> None:
    expect(visit.attention.get_by_text("Example", exact=True)).to_be_visible()
    expect(visit.map).to_have_attribute("aria-label", re.compile(r"^Attention map, 18 rows"))
    # The second " the" reads from what followed the first.
    visit.map.hover(position=visit.cell(15, 7))
    expect(visit.attention).to_contain_text(
        re.compile(r"“·the” \(15\) reads “·cat” \(7\): \d\d\s%")
    )
    visit.until(
        """(c) => new Set(new Uint32Array(c.getContext("2d").getImageData(
          0, 0, c.width, c.height).data.buffer)).size > 10""",
        visit.atlas.element_handle(),
    )
    visit.layer.select_option("2 of 6")
    visit.until("() => store.look.layer === 1 && store.drawable === 18")
    visit.atlas.click(position=visit.thumbnail(1, 2))
    expect(visit.head).to_have_value("2")
    expect(visit.output.get_by_text("Example", exact=True)).to_be_visible()
    expect(visit.text).to_contain_text(
        '"Good morning," said the cat. "Good morning," said the dog.'
    )
    visit.screenshot("start")
