"""Which precision is chosen, and that a wrong name lists the right ones."""

from __future__ import annotations

import pytest

from gpt2 import load
from gpt2.config import SIZES
from gpt2.precision import (
    AUTO,
    INT4_WHERE_OFFERED,
    PRECISIONS,
    choose_precision,
    described,
    wanted_precision,
    weight_bytes,
)
from gpt2.runtime.device import CPU, GPU

SMALL, TINY = SIZES["small"].config, SIZES["tiny"].config


def compiled_pass(monkeypatch: pytest.MonkeyPatch, there: bool) -> None:
    monkeypatch.setattr("gpt2.precision.has_compiled_pass", lambda: there)


def test_auto_is_int8_where_the_weights_are_large_and_the_pass_is_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert choose_precision(AUTO, TINY) == "float32"
    compiled_pass(monkeypatch, True)
    assert choose_precision(AUTO, SMALL) == "int8"
    compiled_pass(monkeypatch, False)
    assert choose_precision(AUTO, SMALL) == "float32"


@pytest.mark.parametrize("precision", PRECISIONS[CPU])
def test_a_named_precision_is_kept_where_the_pass_is_there(
    precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled_pass(monkeypatch, True)
    assert choose_precision(precision, TINY) == precision
    compiled_pass(monkeypatch, False)
    assert choose_precision(precision, TINY) == "float32"


def test_int4_is_offered_from_355M_on_and_never_taken_by_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    compiled_pass(monkeypatch, True)
    monkeypatch.setenv("GPT2_PRECISION", "int4")
    wanted = wanted_precision()
    assert wanted == INT4_WHERE_OFFERED
    found = {size: choose_precision(wanted, SIZES[size].config) for size in SIZES}
    assert found["tiny"] == "float32"
    assert found["small"] == "int8"
    assert found["medium"] == found["large"] == found["xl"] == "int4"
    assert all(choose_precision(AUTO, SIZES[size].config) != "int4" for size in SIZES)
    assert described("int4") == "int4 (0.05 nats from float32)"  # tests/cpu/test_truth.py
    assert described("int8") == "int8"


def test_auto_on_a_gpu_rounds_nothing() -> None:
    assert choose_precision(AUTO, TINY, GPU) == "float32"
    assert choose_precision(AUTO, SIZES["xl"].config, GPU) == "float32"


@pytest.mark.parametrize(("precision", "device"), [("int8", GPU), ("bfloat16", CPU)])
def test_what_a_device_has_not_is_refused_with_what_it_has(precision: str, device: str) -> None:
    names = ", ".join([*PRECISIONS[device], AUTO])
    with pytest.raises(ValueError, match=rf"{names} \(on {device}\), not '{precision}'"):
        choose_precision(precision, SMALL, device)
    with pytest.raises(ValueError, match="device must be one of cpu, cuda, not 'tpu'"):
        choose_precision(AUTO, SMALL, "tpu")


def test_an_unknown_precision_lists_the_known_ones_before_anything_is_fetched() -> None:
    names = ", ".join([*PRECISIONS[CPU], AUTO])
    with pytest.raises(ValueError, match=rf"one of {names} \(on cpu\), not 'float99'"):
        load("xl", "float99")


def test_the_environment_overrides_auto(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GPT2_PRECISION", raising=False)
    assert wanted_precision() == AUTO
    monkeypatch.setenv("GPT2_PRECISION", "float16")
    assert wanted_precision() == "float16"


def test_the_four_public_sizes_fit_together_under_6_gb_in_int8() -> None:
    sizes = ("small", "medium", "large", "xl")
    assert sum(weight_bytes(SIZES[name].config, "int8") for name in sizes) < 6e9
