"""What a first visit costs over a slow line, and that it costs no more from one day to the next.

The aim is 300 kB, 40 requests and 3 seconds at 1.6 Mbit/s and 150 ms. What Gradio 6.31 itself
sends is 62 files of 300 kB, so the budget here is what is reached; ours of it are bounded apart.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser

from .server import App
from .visit import PATIENCE

pytestmark = pytest.mark.browser

BITS_PER_SECOND, LATENCY = 1_600_000, 150  # ms
MOST_REQUESTS, MOST_BYTES, MOST_SECONDS = 78, 425_000, 5.5
OUR_REQUESTS, OUR_BYTES = 5, 80_000  # of them those under /panel/

DRAWN = r"""() => /[1-9]\d* rows/.test(
  document.querySelector("#attention [data-part=map]")?.getAttribute("aria-label"))"""


@pytest.fixture
def files(browser: Browser, app: App) -> Iterator[tuple[dict[str, dict[str, Any]], float]]:
    """{id: {url, bytes}} of a first visit, and the seconds until the example is drawn."""
    context = browser.new_context()
    page = context.new_page()
    session = context.new_cdp_session(page)
    found: dict[str, dict[str, Any]] = {}
    session.on(
        "Network.requestWillBeSent",
        lambda event: found.setdefault(event["requestId"], {"url": event["request"]["url"]}),
    )
    session.on(
        "Network.loadingFinished",
        lambda event: found.get(event["requestId"], {}).update(bytes=event["encodedDataLength"]),
    )
    session.send("Network.enable")
    session.send(
        "Network.emulateNetworkConditions",
        {
            "offline": False,
            "latency": LATENCY,
            "downloadThroughput": BITS_PER_SECOND / 8,
            "uploadThroughput": BITS_PER_SECOND / 16,
        },
    )
    began = time.monotonic()
    page.goto(app.url)
    page.wait_for_function(DRAWN, timeout=PATIENCE)
    seconds = time.monotonic() - began
    page.wait_for_load_state("load")
    yield found, seconds
    context.close()


def test_a_first_visit_stays_within_its_budget(
    files: tuple[dict[str, dict[str, Any]], float],
) -> None:
    found, seconds = files
    asked = [one for one in found.values() if not one["url"].startswith(("data:", "blob:"))]
    ours = [one for one in asked if "/panel/" in one["url"]]
    total, own = (sum(one.get("bytes", 0) for one in some) for some in (asked, ours))
    said = f"{len(asked)} requests, {total:,.0f} bytes, {seconds:.1f} s; {len(ours)}, {own:,.0f}"
    assert len(asked) <= MOST_REQUESTS, said
    assert total <= MOST_BYTES, said
    assert seconds <= MOST_SECONDS, said
    assert len(ours) <= OUR_REQUESTS, said
    assert own <= OUR_BYTES, said
    print(said)
