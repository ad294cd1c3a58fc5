"""The web page: Gradio outside, plain events inside. No tensor gets this far."""

from gpt2.ui.gradio_patches.no_stubs import write_no_stubs

write_no_stubs()

from gpt2.ui.build import build_page, launch  # noqa: E402  # imports Gradio
from gpt2.ui.session.ending import at_once_by_ctrl_c  # noqa: E402  # after the others
from gpt2.ui.session.runner import USER_ERRORS  # noqa: E402  # after the others
from gpt2.ui.session.sizes import check_offered  # noqa: E402  # after the others

__all__ = ["USER_ERRORS", "at_once_by_ctrl_c", "build_page", "check_offered", "launch"]
