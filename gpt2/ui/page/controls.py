"""The controls on the left. Labels are part of the contract: people script them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr

from gpt2.ui.page.run_note import RunNote
from gpt2.ui.page.sampling_fields import cuts, seed_field, sliders
from gpt2.ui.page.text_line import TextLine
from gpt2.ui.session.default_size import default_size
from gpt2.ui.session.requests import MOST_CHARACTERS, OFF, count_tokens
from gpt2.ui.session.sizes import choices, config_of, drafts_for, size_hint, source_of

PROMPT = "Once upon a time there was a little fox who lived"

# What the buttons under the prompt say and what they put there; none of it stands there at first.
EXAMPLES = {
    "The old king": "The old king said to his three sons",
    "Oh, look!": '"Oh, look!" cried Alice, and',
    "A red ball": "Tom had a red ball and Lily had a blue ball. Tom threw the red",
}


@dataclass(frozen=True, slots=True)
class Controls:
    """Every control a handler reads or changes."""

    prompt: gr.Textbox
    count: TextLine
    size: gr.Dropdown
    about_size: TextLine
    temperature: gr.Slider
    new_tokens: gr.Slider
    top_k: gr.Slider
    top_p: gr.Slider
    seed: gr.Textbox
    draft: gr.Dropdown
    generate: gr.Button
    stop: gr.Button
    more: gr.Button

    @classmethod
    def build(cls) -> Controls:
        """Put the controls on the page that is being built."""
        first = default_size()
        with gr.Column(elem_id="controls", elem_classes="card"):
            prompt, count = _prompt(first)
            size = gr.Dropdown(choices(), value=first, label="Model size", elem_id="size")
            about_size = TextLine(value=size_hint(first), elem_id="size-hint")
            temperature, new_tokens = _sliders(first)
            top_k, top_p, seed, draft = _more_sampling(first)
            with gr.Row(elem_id="actions"):
                generate = gr.Button("Generate", variant="primary", scale=3, min_width=120)
                stop = gr.Button("Stop", min_width=70, elem_id="stop")
                more = gr.Button("Continue", min_width=90, elem_id="continue")
            RunNote(elem_id="run-note")
        return cls(
            prompt=prompt,
            count=count,
            size=size,
            about_size=about_size,
            temperature=temperature,
            new_tokens=new_tokens,
            top_k=top_k,
            top_p=top_p,
            seed=seed,
            draft=draft,
            generate=generate,
            stop=stop,
            more=more,
        )

    @property
    def request(self) -> list[gr.components.Component]:
        """The fields of a request, in the order of `gpt2.ui.session.requests.checked`."""
        return [
            self.prompt,
            self.size,
            self.temperature,
            self.new_tokens,
            self.top_k,
            self.top_p,
            self.seed,
            self.draft,
        ]

    @property
    def sliders(self) -> list[gr.Slider]:
        """The number fields that can be emptied."""
        return [self.temperature, self.new_tokens, self.top_k, self.top_p]


def draft_choices(size: str) -> list[tuple[str, str]]:
    """(label, name) pairs for **Draft with**: off, and what can draft for `size`."""
    return [("Off", OFF), *((source_of(name).title, name) for name in drafts_for(size))]


def draft_hint(size: str) -> str:
    """What stands at **Draft with**: what it does, or that there is nothing to choose."""
    if drafts_for(size):
        return "A smaller size drafts ahead; the text stays the same. Worthwhile for large models"
    return "No draft model available"


def draft_update(size: str, draft: str | None) -> Any:
    """What changes there with the size; `draft` stays chosen if it can draft for this one."""
    able = draft_choices(size)
    kept = draft if draft in dict(able).values() else OFF
    return gr.update(choices=able, value=kept, info=draft_hint(size))


def _prompt(size: str) -> tuple[gr.Textbox, TextLine]:
    prompt = gr.Textbox(
        PROMPT,
        label="Prompt",
        lines=2,
        max_lines=8,
        max_length=MOST_CHARACTERS + 1,  # a browser that lays out megabytes stands still
        elem_id="prompt",
    )
    with gr.Row(elem_id="under-prompt"):
        count = TextLine(value=count_tokens(PROMPT, size), elem_id="count")
        TextLine(value="Shift + Enter generates", elem_id="hint")
    with gr.Row(elem_id="examples"):
        for words, example in EXAMPLES.items():
            button = gr.Button(words, size="sm", min_width=0, elem_classes="chip")
            # In the browser alone, so that it works while the server is busy.
            button.click(None, None, prompt, js=f"() => {example!r}", api_visibility="private")
    return prompt, count


def _sliders(size: str) -> tuple[gr.Slider, gr.Slider]:
    with gr.Row(elem_id="sliders"):
        return sliders(config_of(size).max_seq_len - 1, "")


def _more_sampling(size: str) -> tuple[gr.Slider, gr.Slider, gr.Textbox, gr.Dropdown]:
    with (
        gr.Accordion("More sampling", open=False, elem_id="more-sampling"),
        gr.Row(elem_classes="fields"),
    ):
        top_k, top_p = cuts("")
        seed = seed_field("")
        draft = gr.Dropdown(
            draft_choices(size),
            value=OFF,
            label="Draft with",
            min_width=140,
            info=draft_hint(size),
            elem_id="draft",
        )
    return top_k, top_p, seed, draft
