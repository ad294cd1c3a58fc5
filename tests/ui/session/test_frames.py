"""What the page is told in words."""

from __future__ import annotations

from gpt2.checkpoint import Progress
from gpt2.ui.session.frames import loading_sentence, note


def test_a_note_touches_no_text() -> None:
    assert note("waiting", "Wait.") == {"run": None, "state": "waiting", "note": "Wait."}


def test_a_download_says_of_which_size_it_is() -> None:
    sentence = loading_sentence("Small", Progress(10**9, 2 * 10**9, 12.34e6, 81.0))
    assert sentence == "Small: 1,000 of 2,000 MB, 12.3 MB/s, 81 s left"
