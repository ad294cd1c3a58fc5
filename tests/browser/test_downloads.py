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
from .server import App, serve
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


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hub") / "tiny-test"
    write_gpt2_folder(folder, SHAPE)
    return folder


@pytest.fixture
def hub(weights: Path) -> Iterator[HubStandin]:
    with HubStandin({REPOSITORY: weights}) as hub:
        yield hub


@pytest.fixture
def app(hub: HubStandin, tmp_path: Path) -> Iterator[App]:
    with serve(tmp_path, GPT2_MODEL=REPOSITORY, HF_ENDPOINT=hub.endpoint) as app:
        yield app


def choose_it(visit: Visit) -> None:
    visit.choose(size=REPOSITORY, new_tokens=20, seed=1)
    expect(visit.status).to_have_text(f"{REPOSITORY} · float32 · downloaded on first use")


def test_a_download_says_how_far_it_is_and_then_writes(visit: Visit, hub: HubStandin) -> None:
    hub.fail("slow", at=1_000_000)
    choose_it(visit)
    visit.watch()
    visit.button("Generate").click()
    expect(visit.status).to_have_text(f"{REPOSITORY} · loading")
    visit.until("() => store.run?.status")
    visit.finished()
    assert visit.tokens() == 32
    progress = re.compile(rf"^{REPOSITORY}: \d+ of \d+ MB, \d+\.\d MB/s")
    assert any(progress.match(note) for note in visit.seen("notes")), visit.seen("notes")
    expect(visit.status).to_have_text(f"{REPOSITORY} · float32 · ready")
    expect(visit.size).to_have_value(f"{REPOSITORY} · local")
    assert len(hub.bodies(REPOSITORY)) == 1
    visit.generate(seed=2)
    assert len(hub.bodies(REPOSITORY)) == 1


def test_a_refused_download_says_so_and_tiny_still_works(visit: Visit, hub: HubStandin) -> None:
    hub.fail("status", method="HEAD", status=403, times=99)
    choose_it(visit)
    visit.button("Generate").click()
    expect(visit.note).to_have_text(
        f"The hub refuses {REPOSITORY} (error 403). Check HF_TOKEN.", use_inner_text=True
    )
    expect(visit.status).to_have_text(f"{REPOSITORY} · not running")
    assert visit.generate(size="Tiny", new_tokens=20, seed=1) == text_of(1, 20)
    hub.heal()
    visit.choose(size=REPOSITORY)
    visit.generate()
    expect(visit.note).to_have_text(re.compile(r"^Done\.|ended the text here\.$"))


def test_stop_ends_a_stalled_download(visit: Visit, hub: HubStandin) -> None:
    hub.fail("stall", at=100_000, times=99)
    choose_it(visit)
    visit.button("Generate").click()
    expect(visit.note).to_have_text(f"{REPOSITORY}: contacting Hugging Face")
    asked = time.monotonic()
    visit.button("Stop").click()
    expect(visit.note).to_have_text("Stopped before the first token.")
    assert time.monotonic() - asked < 5
    assert visit.generate(size="Tiny", new_tokens=20, seed=1) == text_of(1, 20)


@pytest.fixture
def visit(visits: Callable[..., Visit], app: App) -> Visit:
    return visits(app.url)
