"""Bytes and percentages in words."""

from __future__ import annotations

import pytest

from gpt2.runtime.units import format_bytes, format_percent


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 MB"),
        (650_000, "650 kB"),
        (4_200_000, "4.2 MB"),
        (17_600_000, "18 MB"),
        (548_000_000, "548 MB"),
        (1_520_000_000, "1.5 GB"),
        (6_230_000_000, "6.2 GB"),
    ],
)
def test_bytes(count: int, text: str) -> None:
    assert format_bytes(count) == text


def test_what_is_compared_may_need_more_digits() -> None:
    assert format_bytes(1_244_000_000, digits=2) == "1.24 GB"


@pytest.mark.parametrize(("share", "text"), [(0, "0 %"), (0.123, "12 %"), (1, "100 %")])
def test_percent(share: float, text: str) -> None:
    assert format_percent(share) == text
    assert format_percent(share, 2) == f"{100 * share:.2f} %"
