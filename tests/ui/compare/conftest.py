"""A second model beside Tiny."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.hub_standin import write_gpt2_folder
from tests.small import CONFIG


@pytest.fixture
def second_model(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Offered as `second`, needs no download; its vocabulary is a hundred times smaller."""
    write_gpt2_folder(tmp_path / "second", CONFIG)
    monkeypatch.setenv("GPT2_MODEL", str(tmp_path / "second"))
