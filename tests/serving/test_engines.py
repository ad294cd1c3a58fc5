"""What is asked for before an engine is loaded somewhere else."""

from __future__ import annotations

import sys

import pytest

from gpt2.precision import wanted_precision
from gpt2.serving.engines import engine_loader


def test_ray_refuses_a_precision_that_replicas_do_not_have(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("GPT2_PRECISION", "int8")
    with pytest.raises(ValueError, match="float32: leave out GPT2_PRECISION=int8"):
        engine_loader("ray")


def test_on_ray_the_page_tells_of_what_replicas_write_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GPT2_PRECISION", "auto")  # so that it is as it was afterwards
    monkeypatch.delenv("GPT2_PRECISION")
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ValueError, match="needs Ray"):
        engine_loader("ray")
    assert wanted_precision() == "float32"
