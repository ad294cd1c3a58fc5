"""The web page: Gradio outside, plain events inside. No tensor gets this far."""

from gpt2.ui.page import build_page, launch

__all__ = ["build_page", "launch"]
