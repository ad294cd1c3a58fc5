"""The web page: Gradio outside, plain events inside. No tensor gets this far."""

from gpt2.ui.page import build_page, launch
from gpt2.ui.playground import TOLD
from gpt2.ui.sizes import check_offered

__all__ = ["TOLD", "build_page", "check_offered", "launch"]
