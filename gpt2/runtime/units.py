"""Numbers as people read them: bytes and percentages, the same everywhere."""

from __future__ import annotations


def format_bytes(count: float, digits: int = 1) -> str:
    """`1.5 GB`, `320 MB`, `4.2 MB`, `650 kB`: decimal units; `digits` after the point of a GB."""
    if not count:
        return "0 MB"
    if count >= 1e9:
        return f"{count / 1e9:.{digits}f} GB"
    if count >= 1e6:
        return f"{count / 1e6:.{0 if count >= 1e7 else 1}f} MB"
    return f"{count / 1e3:.0f} kB"


def format_percent(share: float, digits: int = 0) -> str:
    """A share from 0 to 1, or a change of one, as `12 %`."""
    return f"{100 * share:.{digits}f} %"
