"""What Gradio holds of a view that is drawn by a module."""

import json

import pytest

from gpt2.ui.page.attention_view import AttentionView, style, template
from gpt2.ui.page.output_view import OutputView


def test_markup_and_style_are_no_templates() -> None:
    view = AttentionView()
    assert view.html_template == view.css_template == ""
    assert json.dumps(template()) in view.js_on_load
    assert json.dumps(style()) in view.js_on_load


def test_no_word_of_the_markup_is_taken_for_an_event() -> None:
    with pytest.raises(AttributeError):
        _ = AttentionView().nearer


def test_a_message_travels_as_text() -> None:
    message = {"run": "a", "tokens": [" \u00e9", {"hex": "e2"}]}
    travels = OutputView().postprocess(message)
    assert travels is not None
    assert json.loads(travels) == message
    assert OutputView().postprocess(None) is None
