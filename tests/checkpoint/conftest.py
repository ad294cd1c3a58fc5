"""A stand-in hub, and processes that fetch from it with the unmodified client."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gpt2.checkpoint import Source
from gpt2.config import GPT2Config
from tests.hub_standin import HubStandin, write_gpt2_folder
from tests.small import until

TINY = GPT2Config(
    vocab_size=300,
    embedding_dimension=24,
    num_heads=3,
    hidden_dimension=8,
    num_blocks=2,
    max_seq_len=16,
)
# 27 MB: the client counts in blocks of 10 MiB, and some faults show only after the first.
BIG = dataclasses.replace(TINY, hidden_dimension_factor=2900)


class Fetcher:
    """A process with its own cache; `fetch` gives one reply for each caller, as in fetcher.py."""

    def __init__(
        self,
        home: Path,
        endpoint: str,
        command: tuple[str, ...] = (str(Path(__file__).with_name("fetcher.py")),),
        **environment: str,
    ) -> None:
        self.home = home
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "TRANSFORMERS_"))}
        self.process = subprocess.Popen(
            [sys.executable, *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=clean
            | {
                "PYTHONPATH": str(Path(__file__).parents[2]),
                "HF_HOME": str(home),
                "HF_ENDPOINT": endpoint,
                "HF_HUB_DISABLE_TELEMETRY": "1",
                "HF_HUB_DOWNLOAD_TIMEOUT": "1",
                "HF_HUB_ETAG_TIMEOUT": "3",
                "NO_PROXY": "127.0.0.1",
                "OMP_NUM_THREADS": "1",
            }
            | environment,
        )

    def start(
        self, source: Source, quit_at: tuple[int | None, ...] = (None,), file_limit: int = 0
    ) -> None:
        """Begin without waiting. A caller cancels when its number of bytes has arrived."""
        order = {
            "source": [str(v) if isinstance(v, Path) else v for v in dataclasses.astuple(source)],
            "quit_at": quit_at,
            "file_limit": file_limit,
        }
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()

    def replies(self) -> list[dict[str, Any]]:
        assert self.process.stdout is not None
        return json.loads(self.process.stdout.readline())

    def fetch(self, source: Source, **options: Any) -> dict[str, Any]:
        self.start(source, **options)
        return self.replies()[0]

    def partials(self) -> list[Path]:
        return list(self.home.glob("hub/**/*.incomplete"))

    def wait_for_bytes(self) -> None:
        """Until the first block of a large file is on the disk."""

        def arrived() -> bool:
            with contextlib.suppress(FileNotFoundError):
                return any(path.stat().st_size for path in self.partials())
            return False

        assert until(arrived, 60), "nothing arrived in 60 s"

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture(scope="session")
def shared_hub() -> Iterator[HubStandin]:
    with HubStandin() as hub:
        yield hub


@pytest.fixture
def hub(shared_hub: HubStandin) -> HubStandin:
    shared_hub.heal()
    return shared_hub


@pytest.fixture(scope="session")
def shared_fetcher(
    shared_hub: HubStandin, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Fetcher]:
    fetcher = Fetcher(tmp_path_factory.mktemp("home"), shared_hub.endpoint)
    yield fetcher
    fetcher.close()


@pytest.fixture
def fetcher(shared_fetcher: Fetcher) -> Fetcher:
    """One process for all tests that need no other variables: starting torch takes seconds."""
    return shared_fetcher


@pytest.fixture
def new_fetcher(hub: HubStandin, tmp_path: Path) -> Iterator[Callable[..., Fetcher]]:
    """Makes processes that share a cache of this test's own."""
    made: list[Fetcher] = []

    def make(**options: Any) -> Fetcher:
        made.append(Fetcher(tmp_path / "home", hub.endpoint, **options))
        return made[-1]

    yield make
    for fetcher in made:
        fetcher.close()


_numbers = itertools.count()


@pytest.fixture(scope="session")
def big_folder(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    folder = tmp_path_factory.mktemp("big")
    return folder, write_gpt2_folder(folder, BIG)


@pytest.fixture
def big(hub: HubStandin, big_folder: tuple[Path, str]) -> Source:
    """A pinned 27 MB repository that no cache has yet."""
    name = f"owner/big-{next(_numbers)}"
    hub.add(name, big_folder[0])
    return Source(name, None, name, hub.commit(name), big_folder[1])


@pytest.fixture
def small(hub: HubStandin, tmp_path: Path) -> Source:
    """A pinned repository of a few kilobytes that no cache has yet."""
    name = f"owner/small-{next(_numbers)}"
    sha256 = write_gpt2_folder(tmp_path / "small", TINY)
    hub.add(name, tmp_path / "small")
    return Source(name, None, name, hub.commit(name), sha256)
