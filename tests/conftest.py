"""What tests of several rooms share: a real Chromium, and a fair share of the processor."""

import os
from collections.abc import Iterator

# Before PyTorch is there. Where tests run side by side, threads that wait for each other would each
# wait for a core first: the slowest tests took three to six times as long.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
from playwright.sync_api import Browser

from .chromium import chosen
from .examples import register_profiles

register_profiles()


@pytest.fixture(scope="module")
def short_pieces() -> Iterator[None]:
    """Prompts are read in pieces as short as those of large models."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gpt2.inference.steps.PIECE_WORK", 0)
        yield


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with chosen() as browser:
        yield browser
