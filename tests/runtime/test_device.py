"""Which device models are loaded on, and that a wrong wish is told."""

from __future__ import annotations

import pytest

from gpt2.runtime.device import device_memory, wanted_device
from gpt2.runtime.memory_limit import memory_limit


@pytest.mark.parametrize(
    ("named", "there", "device"),
    [("", False, "cpu"), ("", True, "cuda"), ("cpu", True, "cpu"), ("cuda", True, "cuda")],
)
def test_a_gpu_is_taken_where_there_is_one_unless_the_environment_says_otherwise(
    named: str, there: bool, device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GPT2_DEVICE", named)
    monkeypatch.setattr("torch.cuda.is_available", lambda: there)
    assert wanted_device() == device


@pytest.mark.parametrize(
    ("named", "words"), [("gpu", "must be cpu or cuda, not 'gpu'"), ("cuda", "finds no GPU here")]
)
def test_what_cannot_be_is_told(named: str, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GPT2_DEVICE", named)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(ValueError, match=words):
        wanted_device()


def test_models_on_the_cpu_share_what_this_process_may_use() -> None:
    assert device_memory("cpu") == memory_limit()
