"""Gradio at rest while nobody asks: it takes CPU that the models compute with.

By itself it looks for new events a thousand times a second and for progress bars, of which this
page has none, a hundred times; around every message it looks through the disk for Matplotlib, and
after every call it groups figures of the last ones with pandas, for a page that is closed here.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec
from typing import Any, cast

import gradio as gr

EVENTS = 0.02  # seconds between two looks; an event waits half of that on average
_PROGRESS = 1.0


def poll_slowly(page: gr.Blocks) -> None:
    """For a page whose queue is set up."""
    page._queue.sleep_when_free = EVENTS
    page._queue.progress_update_sleep_when_free = _PROGRESS
    queue = cast(Any, page._queue)
    queue.compute_analytics_summary = lambda _: {}
    if find_spec("matplotlib") is None:
        # Importing it fails at once then (Python's reference, 5.3.1).
        sys.modules["matplotlib"] = None  # type: ignore[assignment]  # None is allowed here
