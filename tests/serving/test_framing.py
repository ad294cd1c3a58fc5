"""Who may show the page in a frame."""

from __future__ import annotations

import pytest

from gpt2.serving.framing import FRAMED_BY_VARIABLE, frame_ancestors

ALWAYS = "'self' https://huggingface.co https://*.hf.space"


@pytest.mark.parametrize(
    ("wish", "more"),
    [
        ("", ""),
        (" ", ""),
        ("https://school.example", " https://school.example"),
        (
            "https://a.example, http://127.0.0.1:8000\nhttps://*.b.example",
            " https://a.example http://127.0.0.1:8000 https://*.b.example",
        ),
        ("*", " *"),
    ],
)
def test_the_owner_adds_origins(monkeypatch: pytest.MonkeyPatch, wish: str, more: str) -> None:
    monkeypatch.setenv(FRAMED_BY_VARIABLE, wish)
    assert frame_ancestors() == ALWAYS + more


@pytest.mark.parametrize(
    "wish",
    ["school.example", "https://a.example/path", "https://a;script-src", "'none'", "ftp://a"],
)
def test_what_is_no_origin_is_refused(monkeypatch: pytest.MonkeyPatch, wish: str) -> None:
    monkeypatch.setenv(FRAMED_BY_VARIABLE, wish)
    with pytest.raises(ValueError, match="must list origins like"):
        frame_ancestors()
