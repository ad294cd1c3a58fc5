"""The web page: Gradio outside, plain events inside. No tensor gets this far."""

from gpt2.ui.no_stubs import write_no_stubs

write_no_stubs()

from gpt2.ui.ending import at_once_by_ctrl_c  # noqa: E402  # after the others
from gpt2.ui.page import build_page, launch  # noqa: E402  # imports Gradio
from gpt2.ui.runner import TOLD  # noqa: E402  # after the others
from gpt2.ui.sizes import check_offered  # noqa: E402  # after the others

__all__ = ["TOLD", "at_once_by_ctrl_c", "build_page", "check_offered", "launch"]
