"""Gradio's theme variables, set until nothing looks like a stock demo.

Colours come from assets/panel/gradio/tokens.css, which knows light and dark.
"""

from __future__ import annotations

import gradio as gr

_SANS = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "Helvetica Neue", "sans-serif")
_MONO = ("ui-monospace", "SF Mono", "Menlo", "Consolas", "Liberation Mono", "monospace")

_COLORS = {
    "body_background_fill": "var(--paper)",
    "background_fill_primary": "var(--card)",
    "background_fill_secondary": "var(--paper)",
    "body_text_color": "var(--ink)",
    "body_text_color_subdued": "var(--quiet)",
    "border_color_primary": "var(--line)",
    "border_color_accent": "var(--accent)",
    "color_accent": "var(--accent)",
    "color_accent_soft": "var(--field)",
    "link_text_color": "var(--accent)",
    "block_background_fill": "var(--card)",
    "block_border_color": "var(--line)",
    "block_label_background_fill": "transparent",
    "block_label_text_color": "var(--ink)",
    "block_title_text_color": "var(--ink)",
    "block_title_background_fill": "transparent",
    "block_info_text_color": "var(--quiet)",
    "input_background_fill": "var(--field)",
    "input_border_color": "var(--line)",
    "input_border_color_focus": "var(--accent)",
    "input_placeholder_color": "var(--quiet)",
    "slider_color": "var(--accent)",
    "button_primary_background_fill": "var(--accent)",
    "button_primary_background_fill_hover": "var(--accent)",
    "button_primary_text_color": "var(--on-accent)",
    "button_primary_border_color": "transparent",
    "button_secondary_background_fill": "var(--card)",
    "button_secondary_background_fill_hover": "var(--field)",
    "button_secondary_text_color": "var(--ink)",
    "button_secondary_border_color": "var(--field-line)",
    "error_background_fill": "var(--card)",
    "error_text_color": "var(--warm)",
    "error_border_color": "var(--warm)",
}

_FLAT = {
    "shadow_drop": "none",
    "shadow_drop_lg": "none",
    "block_shadow": "none",
    "block_border_width": "0px",
    "block_padding": "0px",
    "block_radius": "10px",
    "block_label_border_width": "0px",
    "block_label_padding": "0px",
    "block_title_padding": "0px",
    "block_title_text_weight": "600",
    "block_title_text_size": "14px",
    "block_title_border_width": "0px",
    "input_shadow": "none",
    "input_shadow_focus": "none",
    "input_radius": "8px",
    "input_border_width": "1px",
    "button_large_radius": "8px",
    "button_medium_radius": "8px",
    "button_small_radius": "999px",
    "button_primary_shadow": "none",
    "button_secondary_shadow": "none",
    "button_primary_shadow_hover": "none",
    "button_secondary_shadow_hover": "none",
    # A press starts a text: its first frames have no time for a button that fades.
    "button_transition": "none",
    "button_transform_hover": "none",
    "button_transform_active": "none",
    "button_border_width": "1px",
    "layout_gap": "16px",
}


def page_theme() -> gr.themes.Base:
    """Calm paper, one accent, system fonts."""
    theme = gr.themes.Base(font=_SANS, font_mono=_MONO, text_size=gr.themes.sizes.text_md)
    # Gradio wants every colour twice; ours change by themselves, in tokens.css.
    known = theme.set.__code__.co_varnames
    dark = {f"{name}_dark": value for name, value in _COLORS.items() if f"{name}_dark" in known}
    return theme.set(**_COLORS, **dark, **_FLAT)
