"""Who is asking, where some of what is said about it may be forged."""

from __future__ import annotations

import pytest

from gpt2.serving.addresses import believed, counted_as


@pytest.mark.parametrize(
    ("forwarded", "visitor"),
    [
        ("203.0.114.7", "203.0.114.7"),
        ("1.1.1.1, 203.0.114.7", "203.0.114.7"),  # the visitor has sent 1.1.1.1 himself
        ("1.1.1.1,2.2.2.2 ,203.0.114.7, 10.20.3.4", "203.0.114.7"),  # two proxies of the platform
        ("8.8.8.8, 10.0.0.1", "8.8.8.8"),
        ("10.0.0.9, 10.0.0.1", "10.0.0.1"),
        ("203.0.114.7:4711", "203.0.114.7"),
        ("x, [2001:470::5]:80", "2001:470::5"),
        ("9.9.9.9, unknown", "9.9.9.9"),
        ("unknown", None),
        ("", None),
    ],
)
def test_the_nearest_proxy_is_believed(forwarded: str, visitor: str | None) -> None:
    assert believed(forwarded) == visitor


def test_one_visitor_of_ipv6_is_one() -> None:
    assert counted_as("2001:470:1:2::5") == counted_as("2001:470:1:2:9999::") == "2001:470:1:2::/64"
    assert counted_as("2001:470:1:3::5") != counted_as("2001:470:1:2::5")
    assert counted_as("::ffff:9.9.9.9") == "9.9.9.9"
    assert counted_as("9.9.9.9") == "9.9.9.9"
    assert len(counted_as("x" * 10_000)) == 64
