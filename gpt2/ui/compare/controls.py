"""The controls of the Compare tab: labels as on the main tab."""

from __future__ import annotations

from dataclasses import dataclass

import gradio as gr

from gpt2.config import SIZES
from gpt2.ui.compare.requested import MOST_SIZES
from gpt2.ui.page.controls import PROMPT
from gpt2.ui.page.sampling_fields import cuts, seed_field, sliders
from gpt2.ui.page.text_line import TextLine
from gpt2.ui.session.requests import MOST_CHARACTERS
from gpt2.ui.session.sizes import choices, config_of


@dataclass(frozen=True, slots=True)
class CompareControls:
    """Every control a handler of the tab reads or changes."""

    prompt: gr.Textbox
    sizes: gr.Dropdown
    memory: TextLine
    temperature: gr.Slider
    new_tokens: gr.Slider
    top_k: gr.Slider
    top_p: gr.Slider
    seed: gr.Textbox
    same_noise: gr.Checkbox
    compare: gr.Button
    stop: gr.Button

    @classmethod
    def build(cls) -> CompareControls:
        """Put the controls on the page that is being built."""
        with gr.Row(elem_id="compare-controls", elem_classes="card"):
            with gr.Column(min_width=320, scale=3):
                prompt, sizes = _what()
                memory = TextLine(elem_id="compare-memory")
            with gr.Column(min_width=320, scale=2):
                with gr.Row(elem_classes="fields"):
                    temperature, new_tokens = sliders(_most_new_tokens(), "compare-")
                top_k, top_p, seed, same_noise = _more_sampling()
                with gr.Row(elem_id="compare-actions"):
                    compare = gr.Button("Compare", variant="primary", scale=3, min_width=120)
                    stop = gr.Button("Stop", min_width=70, elem_id="compare-stop")
        return cls(
            prompt=prompt,
            sizes=sizes,
            memory=memory,
            temperature=temperature,
            new_tokens=new_tokens,
            top_k=top_k,
            top_p=top_p,
            seed=seed,
            same_noise=same_noise,
            compare=compare,
            stop=stop,
        )

    @property
    def request_fields(self) -> list[gr.components.Component]:
        """The fields, in the order of `gpt2.ui.compare.requested.compared`."""
        return [
            self.prompt,
            self.sizes,
            self.temperature,
            self.new_tokens,
            self.top_k,
            self.top_p,
            self.seed,
            self.same_noise,
        ]


def default_sizes() -> list[str]:
    """What works without a network; where only one does, the smallest to download beside it."""
    built_in = [name for name, size in SIZES.items() if size.built_in]
    return (built_in + [name for name in SIZES if name not in built_in])[: max(2, len(built_in))]


def _what() -> tuple[gr.Textbox, gr.Dropdown]:
    prompt = gr.Textbox(
        PROMPT,
        label="Prompt",
        lines=3,
        max_lines=8,
        max_length=MOST_CHARACTERS + 1,
        elem_id="compare-prompt",
    )
    sizes = gr.Dropdown(
        choices(),
        value=default_sizes(),
        label="Sizes",
        multiselect=True,
        max_choices=MOST_SIZES,
        elem_id="compare-sizes",
    )
    return prompt, sizes


def _most_new_tokens() -> int:
    return max(config_of(name).max_seq_len for name in SIZES) - 1


def _more_sampling() -> tuple[gr.Slider, gr.Slider, gr.Textbox, gr.Checkbox]:
    same_noise = gr.Checkbox(
        True,
        label="Same randomness",
        info="Every size gets the same random draws, so differences come from the model",
        elem_id="same-noise",
    )
    with (
        gr.Accordion("More sampling", open=False, elem_classes="more-sampling"),
        gr.Row(elem_classes="fields"),
    ):
        top_k, top_p = cuts("compare-")
        seed = seed_field("compare-")
    return top_k, top_p, seed, same_noise
