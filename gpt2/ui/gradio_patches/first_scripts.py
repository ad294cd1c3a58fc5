"""What of the page is asked for first: ours before Gradio's, and of Gradio's all at once."""

from __future__ import annotations

import re

from gpt2.ui.gradio_patches.gradio_bundle import preloads, with_bundle

# Gradio puts its own `head` in when it has begun; these run before it.
_SCRIPTS = b"".join(
    b'<script type="module" src="panel/%b.js"></script>' % name
    for name in (b"raf_throttle", b"sse_keep_alive")
)
# Gradio's colours, which it asks for, and waits for, when it has begun.
_THEME = re.compile(rb'"theme_hash":\s*"(\w+)"')
_BASE = re.compile(rb"<base [^>]*>")  # what addresses are relative to
# For a page inside another's, whose frame it makes as tall as the page is.
_RESIZER = re.compile(rb"(script\.async = true;\s*)(document\.head\.appendChild\(script\);)")
# Of an app to be installed, which this is not; at the wrong address below a path.
_MANIFEST = re.compile(rb'<link rel="manifest" [^>]*>')


def with_first_scripts(page: bytes, components: frozenset[str] = frozenset()) -> bytes:
    """Gradio's page with ours at its head, asking for less. Any other page stays as it is.

    `components` are the kinds of Gradio's that the page shows.
    """
    if not _BASE.search(page):
        return page
    first = _SCRIPTS + preloads(components)
    if theme := _THEME.search(page):
        first += b'<link rel="preload" as="style" href="theme.css?v=%b">' % theme[1]
    page = _BASE.sub(lambda base: base[0] + first, with_bundle(page, components), count=1)
    page = _RESIZER.sub(rb"\1if (window.parent !== window) \2", page, count=1)
    return _MANIFEST.sub(b"", page, count=1)
