"""Which precision is chosen, and that a wrong name lists the right ones."""

from __future__ import annotations

import platform
from pathlib import Path

import pytest
import torch

from gpt2 import load
from gpt2.checkpoint import save_model
from gpt2.config import SIZES
from gpt2.precision import (
    AUTO,
    PRECISIONS,
    choose_precision,
    load_with_precision,
    wanted_precision,
    weight_bytes,
)
from gpt2.quantization import kernels
from gpt2.runtime.device import CPU, GPU
from tests.small import CONFIG, small_engine

SMALL, TINY = SIZES["small"].config, SIZES["tiny"].config


def test_auto_is_int8_where_the_weights_are_large_and_the_kernel_is_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert choose_precision(AUTO, TINY) == "float32"
    monkeypatch.setattr("gpt2.precision.choice.has_int8_kernel", lambda: True)
    assert choose_precision(AUTO, SMALL) == "int8"
    monkeypatch.setattr("gpt2.precision.choice.has_int8_kernel", lambda: False)
    assert choose_precision(AUTO, SMALL) == "float32"


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


@pytest.mark.parametrize("precision", PRECISIONS[CPU])
def test_a_named_precision_is_kept_and_the_engine_says_it(precision: str, tmp_path: Path) -> None:
    assert choose_precision(precision, TINY) == precision
    model = small_engine().model
    save_model(model, tmp_path, {}, torch.float32)
    engine = load(str(tmp_path), precision)
    assert engine.precision == precision
    ids = torch.randint(CONFIG.vocab_size, (2, 40))
    torch.testing.assert_close(engine.model(ids), model(ids), rtol=0.05, atol=0.5)


def test_an_unknown_precision_lists_the_known_ones_before_anything_is_fetched() -> None:
    names = ", ".join([*PRECISIONS[CPU], AUTO])
    with pytest.raises(ValueError, match=rf"one of {names} \(on cpu\), not 'float99'"):
        load("xl", "float99")


def test_the_environment_overrides_auto(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GPT2_PRECISION", raising=False)
    assert wanted_precision() == AUTO
    monkeypatch.setenv("GPT2_PRECISION", "float16")
    assert wanted_precision() == "float16"


def test_float32_is_the_file_bit_for_bit(tmp_path: Path) -> None:
    model = small_engine().model
    save_model(model, tmp_path, {}, torch.float32)
    same = load_with_precision(tmp_path, "float32")
    for name, tensor in model.state_dict().items():
        module, _, kind = name.rpartition(".")
        assert torch.equal(getattr(same.get_submodule(module), kind), tensor)


def test_the_four_public_sizes_fit_together_under_6_gb_in_int8() -> None:
    sizes = ("small", "medium", "large", "xl")
    assert sum(weight_bytes(SIZES[name].config, "int8") for name in sizes) < 6e9


def test_torch_still_has_the_kernels_that_make_it_fast() -> None:
    """Fails when torch drops or renames one: everything would still run, several times slower."""

    x86 = platform.machine() in ("x86_64", "AMD64")
    assert kernels.has_int8_kernel() == x86
    assert kernels.has_float16_kernel() == x86
    assert kernels.has_float32_kernel() or not x86
