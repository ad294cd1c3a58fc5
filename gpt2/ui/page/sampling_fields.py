"""The fields of sampling, alike wherever a text is asked for; whoever calls lays them out.

`prefix` begins the names of their elements, so that a page can hold them twice.
"""

from __future__ import annotations

import gradio as gr

from gpt2.sampling import USUAL

_DEFAULT_NEW_TOKENS = 120


def sliders(most: int, prefix: str) -> tuple[gr.Slider, gr.Slider]:
    """Temperature, and New tokens up to `most`."""
    temperature = gr.Slider(
        0,
        2,
        USUAL.temperature,
        step=0.05,
        label="Temperature",
        min_width=140,
        buttons=[],
        elem_id=f"{prefix}temperature",
    )
    new_tokens = gr.Slider(
        1,
        most,
        _DEFAULT_NEW_TOKENS,
        step=1,
        label="New tokens",
        min_width=140,
        buttons=[],
        elem_id=f"{prefix}new-tokens",
    )
    return temperature, new_tokens


def cuts(prefix: str) -> tuple[gr.Slider, gr.Slider]:
    """Top-k and Top-p."""
    top_k = gr.Slider(
        0,
        200,
        USUAL.top_k,
        step=1,
        label="Top-k",
        min_width=140,
        info="0 = off",
        buttons=[],
        elem_id=f"{prefix}top-k",
    )
    top_p = gr.Slider(
        0.05,
        1,
        USUAL.top_p,
        step=0.01,
        label="Top-p",
        min_width=140,
        info="1 = off",
        buttons=[],
        elem_id=f"{prefix}top-p",
    )
    return top_k, top_p


def seed_field(prefix: str) -> gr.Textbox:
    """A text field: a number field of Gradio's shows an empty value as 0, which is a seed too."""
    return gr.Textbox(
        label="Seed",
        min_width=110,
        max_lines=1,
        placeholder="random",
        info="Blank = random",
        elem_id=f"{prefix}seed",
    )
