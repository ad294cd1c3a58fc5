"""Models that are not here yet: how far it is, what went wrong, and how to give up."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from gpt2.config import GPT2Config
from tests.hub_standin import HubStandin, write_gpt2_folder

from .reference import text_of
from .server import serve
from .visit import Visit

pytestmark = pytest.mark.browser

REPOSITORY = "owner/tiny-test"
SHAPE = GPT2Config(
    vocab_size=8192,
    embedding_dimension=64,
    num_heads=2,
    hidden_dimension=32,
    num_blocks=2,
    max_seq_len=256,
)


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[HubStandin]:
    write_gpt2_folder(tmp_path / "tiny-test", SHAPE)
    with HubStandin({REPOSITORY: tmp_path / "tiny-test"}) as hub:
        yield hub


def choose_it(visit: Visit) -> None:
    visit.choose(size=REPOSITORY, new_tokens=20, seed=1)
    expect(visit.status).to_have_text(f"{REPOSITORY} · float32 · downloaded on first use")


def test_a_download_is_given_up_refused_told_and_written_with(
    visits: Callable[..., Visit], hub: HubStandin, tmp_path: Path
) -> None:
    """One server for all that may happen before the model is there: it is fetched only once."""
    with serve(tmp_path, GPT2_MODEL=REPOSITORY, HF_ENDPOINT=hub.endpoint) as app:
        visit = visits(app.url)
        a_refused_download_says_so_and_tiny_still_works(visit, hub)
        stop_ends_a_stalled_download(visit, hub)
        a_download_says_how_far_it_is_and_then_writes(visit, hub)


def a_refused_download_says_so_and_tiny_still_works(visit: Visit, hub: HubStandin) -> None:
    hub.fail("status", method="HEAD", status=403, times=99)
    choose_it(visit)
    visit.button("Generate").click()
    expect(visit.note).to_have_text(
        f"The hub refuses {REPOSITORY} (error 403). Check HF_TOKEN.", use_inner_text=True
    )
    expect(visit.status).to_have_text(f"{REPOSITORY} · not running")
    assert visit.generate(size="Tiny", new_tokens=20, seed=1) == text_of(1, 20)


def stop_ends_a_stalled_download(visit: Visit, hub: HubStandin) -> None:
    hub.heal()
    hub.fail("stall", at=100_000, times=99)
    choose_it(visit)
    visit.button("Generate").click()
    expect(visit.note).to_have_text(f"{REPOSITORY}: contacting Hugging Face")
    asked = time.monotonic()
    visit.button("Stop").click()
    expect(visit.note).to_have_text("Stopped before the first token.")
    assert time.monotonic() - asked < 20  # the hub would be waited for much longer
    assert visit.generate(size="Tiny", new_tokens=20, seed=1) == text_of(1, 20)


def a_download_says_how_far_it_is_and_then_writes(visit: Visit, hub: HubStandin) -> None:
    hub.heal()
    hub.fail("slow", at=1_000_000)
    before = visit.run_id()
    bodies = len(hub.bodies(REPOSITORY))
    choose_it(visit)
    visit.watch()
    visit.button("Generate").click()
    expect(visit.status).to_have_text(f"{REPOSITORY} · loading")
    visit.until("(old) => store.run?.status && store.run.id !== old", before)
    visit.finished()
    assert visit.tokens() == 32
    progress = re.compile(rf"^{REPOSITORY}: \d+ of \d+ MB, \d+\.\d MB/s")
    assert any(progress.match(note) for note in visit.seen("notes")), visit.seen("notes")
    expect(visit.status).to_have_text(f"{REPOSITORY} · float32 · ready")
    expect(visit.size).to_have_value(f"{REPOSITORY} · local")
    assert len(hub.bodies(REPOSITORY)) == bodies + 1
    visit.generate(seed=2)
    assert len(hub.bodies(REPOSITORY)) == bodies + 1
