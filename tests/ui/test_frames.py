"""What the page is told in words."""

from __future__ import annotations

import pytest

from gpt2.checkpoint import Progress
from gpt2.ui.frames import loading_sentence, note


def test_a_note_touches_no_text() -> None:
    assert note("waiting", "Wait.") == {"run": None, "state": "waiting", "note": "Wait."}


@pytest.mark.parametrize(
    ("progress", "sentence"),
    [
        (Progress(0, 548_000_000, 0, None), "Small: contacting Hugging Face"),
        (
            Progress(10**9, 2 * 10**9, 12.34e6, 81.0),
            "Small: 1,000 of 2,000 MB, 12.3 MB/s, 81 s left",
        ),
        (Progress(1, 2, 1e6, 600.0), "Small: 0 of 0 MB, 1.0 MB/s, 10 min left"),
        (Progress(0, 9, 0, None, 3), "Small: contacting Hugging Face (attempt 3 of 5)"),
        (Progress(0, 9, 0, None, 2, "The hub is busy."), "Small: The hub is busy."),
        (Progress(1, 2, 1e6, 600.0, 2), "Small: 0 of 0 MB, 1.0 MB/s, 10 min left (attempt 2 of 5)"),
    ],
)
def test_a_download_is_said_in_megabytes_and_time_left(progress: Progress, sentence: str) -> None:
    assert loading_sentence("Small", progress) == sentence
