"""What is asked for before an engine is loaded somewhere else."""

from __future__ import annotations

import sys

import pytest

from gpt2.precision import AUTO, wanted_precision
from gpt2.serving.engines import engine_loader


def test_without_ray_the_page_says_what_is_missing_and_changes_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("GPT2_PRECISION", raising=False)
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ValueError, match="needs Ray"):
        engine_loader("ray")
    assert wanted_precision() == AUTO
