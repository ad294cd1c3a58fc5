"""The controls on the left. Labels are part of the contract: people script them."""

from __future__ import annotations

from dataclasses import dataclass

import gradio as gr

from gpt2.ui.requests import MOST_CHARACTERS
from gpt2.ui.sizes import choices, config_of
from gpt2.ui.text_line import TextLine

DEFAULT_SIZE = "tiny"
DEFAULT_NEW_TOKENS = 120

EXAMPLES = (
    "Once upon a time there was a little fox who lived",
    "The old king said to his three sons",
    '"Oh, look!" cried Alice, and',
)


@dataclass(frozen=True, slots=True)
class Controls:
    """Every control a handler reads or changes."""

    prompt: gr.Textbox
    count: TextLine
    size: gr.Dropdown
    temperature: gr.Slider
    new_tokens: gr.Slider
    top_k: gr.Slider
    top_p: gr.Slider
    seed: gr.Textbox
    generate: gr.Button
    stop: gr.Button
    more: gr.Button

    @classmethod
    def build(cls) -> Controls:
        """Put the controls on the page that is being built."""
        with gr.Column(elem_id="controls", elem_classes="card"):
            prompt, count = _prompt()
            size = gr.Dropdown(choices(), value=DEFAULT_SIZE, label="Model size", elem_id="size")
            temperature, new_tokens = _sliders()
            top_k, top_p, seed = _more_sampling()
            with gr.Row(elem_id="actions"):
                generate = gr.Button("Generate", variant="primary", scale=3, min_width=120)
                stop = gr.Button("Stop", min_width=70)
                more = gr.Button("Continue", min_width=90)
        return cls(
            prompt=prompt,
            count=count,
            size=size,
            temperature=temperature,
            new_tokens=new_tokens,
            top_k=top_k,
            top_p=top_p,
            seed=seed,
            generate=generate,
            stop=stop,
            more=more,
        )

    @property
    def request(self) -> list[gr.components.Component]:
        """The fields of a request, in the order of `gpt2.ui.requests.checked`."""
        return [
            self.prompt,
            self.size,
            self.temperature,
            self.new_tokens,
            self.top_k,
            self.top_p,
            self.seed,
        ]


def _prompt() -> tuple[gr.Textbox, TextLine]:
    prompt = gr.Textbox(
        EXAMPLES[0],
        label="Prompt",
        lines=3,
        max_lines=8,
        max_length=MOST_CHARACTERS + 1,  # a browser that lays out megabytes stands still
        elem_id="prompt",
    )
    with gr.Row(elem_id="under-prompt"):
        count = TextLine(elem_id="count")
        TextLine(value="Shift + Enter generates", elem_id="hint")
    with gr.Row(elem_id="examples"):
        for example in EXAMPLES:
            words = " ".join(example.split()[:4])
            button = gr.Button(words, size="sm", min_width=0, elem_classes="chip")
            # In the browser alone, so that it works while the server is busy.
            button.click(None, None, prompt, js=f"() => {example!r}", api_visibility="private")
    return prompt, count


def _sliders() -> tuple[gr.Slider, gr.Slider]:
    most = config_of(DEFAULT_SIZE).max_seq_len - 1
    with gr.Row(elem_id="sliders"):
        temperature = gr.Slider(
            0, 2, 0.8, step=0.05, label="Temperature", min_width=140, buttons=[]
        )
        new_tokens = gr.Slider(
            1, most, DEFAULT_NEW_TOKENS, step=1, label="New tokens", min_width=140, buttons=[]
        )
    return temperature, new_tokens


def _more_sampling() -> tuple[gr.Slider, gr.Slider, gr.Textbox]:
    with (
        gr.Accordion("More sampling", open=False, elem_id="more-sampling"),
        gr.Row(elem_classes="fields"),
    ):
        top_k = gr.Slider(
            0, 200, 0, step=1, label="Top-k", min_width=140, info="0 keeps all", buttons=[]
        )
        top_p = gr.Slider(
            0.05, 1, 1, step=0.05, label="Top-p", min_width=140, info="1 keeps all", buttons=[]
        )
        # A text field: a number field of Gradio's shows an empty value as 0, which is a seed too.
        seed = gr.Textbox(
            label="Seed", min_width=110, max_lines=1, placeholder="random", info="Empty draws one"
        )
    return top_k, top_p, seed
