"""Public sizes side by side: random checkpoints of their real shapes, from a loopback hub."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import expect

from gpt2.config import SIZES
from tests.hub_standin import HubStandin, write_gpt2_folder

from .comparing import Comparing
from .server import serve
from .visit import Visit

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(1500)]

_ENDED = re.compile("^Done|itself|could not|cannot|needs|went wrong|Stopped")


@pytest.mark.parametrize(
    "names", [("small", "medium"), ("small", "medium", "large", "xl")], ids="-".join
)
def test_they_download_and_write_together(
    visits: Callable[..., Visit], tmp_path: Path, names: tuple[str, ...]
) -> None:
    hub = HubStandin()
    pins = {}
    for name in names:
        size = SIZES[name]
        assert size.repo
        sha256 = write_gpt2_folder(tmp_path / name, size.config, dtype="F16")
        hub.add(size.repo, tmp_path / name)
        pins[name] = (hub.commit(size.repo), sha256)
    with (
        hub,
        serve(
            tmp_path,
            ("-m", "tests.browser.random_sizes"),
            HF_ENDPOINT=hub.endpoint,
            GPT2_TEST_PINS=json.dumps(pins),
            GPT2_PRECISION="int8" if len(names) == 4 else "float32",
        ) as app,
    ):
        visit = visits(app.url)
        tab = Comparing(visit)
        tab.choose(*(SIZES[name].label for name in names), new_tokens=5)
        tab.button("Compare").click()
        expect(tab.columns).to_have_count(len(names))
        for at, name in enumerate(names):
            expect(tab.notes.nth(at)).to_have_text(_ENDED, timeout=1_200_000)
            expect(tab.notes.nth(at)).to_have_text(re.compile("Done|itself"))
            assert f"{SIZES[name].label}: " not in tab.columns.nth(at).inner_text()
        expect(tab.figures.get_by_role("row")).to_have_count(len(names) + 1, timeout=600_000)
        visit.screenshot(f"compare-public-{len(names)}")
        expect(tab.figures).not_to_contain_text("\N{EN DASH}")
        for name in names:
            millions = f"{SIZES[name].config.num_parameters / 1e6:,.1f} M"
            expect(tab.figures).to_contain_text(millions)
