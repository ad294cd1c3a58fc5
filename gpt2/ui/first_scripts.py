"""Scripts of ours that run before Gradio's, which puts its own `head` in when it has begun."""

from __future__ import annotations

import re

from gpt2.ui.gradio_chunks import scripts_of

_SCRIPTS = b"".join(
    b'<script type="module" src="panel/%b.js"></script>' % name for name in (b"frames", b"stream")
)
# What the page's views need: on its way while Gradio is still loading what shows them.
_SOON = b'<link rel="modulepreload" href="panel/all.js">'
_BASE = re.compile(rb"<base [^>]*>")  # what addresses are relative to


def with_first_scripts(page: bytes) -> bytes:
    """Gradio's page with ours at its head. Any other page stays as it is."""
    return _BASE.sub(lambda base: base[0] + _SCRIPTS + _SOON + scripts_of(page), page, count=1)
