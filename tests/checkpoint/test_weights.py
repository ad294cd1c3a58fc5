"""model.safetensors to GPT2Model and back, against transformers; a mismatch names its tensor."""

from __future__ import annotations

import dataclasses
import re
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from torch.testing import assert_close

from gpt2.checkpoint import CheckpointError, load_model, save_model
from gpt2.config import GPT2Config
from gpt2.model import GPT2Model
from tests.checkpoint.conftest import TINY
from tests.hub_standin import Tensors, container, raw, write_gpt2_folder

WEIGHTS = "model.safetensors"
FORMS = [("", "F32"), ("transformer.", "F32"), ("", "F16"), ("transformer.", "BF16")]


def reference(folder: Path) -> torch.nn.Module:
    transformers = pytest.importorskip("transformers")
    return transformers.GPT2LMHeadModel.from_pretrained(folder, dtype=torch.float32).eval()


def same_as_reference(model: GPT2Model, folder: Path) -> None:
    theirs = reference(folder)
    state = theirs.transformer.state_dict()
    for name, tensor in model.state_dict().items():
        other = state[name]
        if name.endswith(("c_attn.weight", "c_proj.weight", "c_fc.weight")):
            other = other.t()
        assert torch.equal(tensor, other), name
    ids = torch.arange(12).view(2, 6)
    assert_close(model(ids), theirs(ids).logits, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize(("prefix", "dtype"), FORMS)
def test_loads_what_transformers_loads(tmp_path: Path, prefix: str, dtype: str) -> None:
    write_gpt2_folder(tmp_path, TINY, prefix=prefix, dtype=dtype)
    start = struct.unpack("<Q", (tmp_path / WEIGHTS).read_bytes()[:8])[0] + 8
    assert start % 4 == 3  # as in openai-community/gpt2: no tensor is aligned
    model = load_model(tmp_path)
    same_as_reference(model, tmp_path)
    assert not model.training
    for parameter in model.parameters():
        assert parameter.dtype == torch.float32 and not parameter.requires_grad
        assert parameter.is_contiguous() and parameter.data_ptr() % 4 == 0
        assert parameter.device.type == "cpu"


def test_loading_leaves_the_random_numbers_alone(tmp_path: Path) -> None:
    write_gpt2_folder(tmp_path, TINY)
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    load_model(tmp_path)
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize(
    ("name", "value"), [("lm_head.weight", 0.0), ("h.0.attn.masked_bias", -1e4)]
)
def test_copies_and_masks_are_accepted(tmp_path: Path, name: str, value: float) -> None:
    def edit(tensors: Tensors) -> None:
        head = tensors["wte.weight"]
        tensors[name] = head if "head" in name else ("F32", (), struct.pack("<f", value))

    write_gpt2_folder(tmp_path, TINY, edit=edit)
    same_as_reference(load_model(tmp_path), tmp_path)


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float32, 0.0), (torch.float16, 2e-4), (torch.bfloat16, 2e-3)]
)
@pytest.mark.parametrize(
    "config", [TINY, dataclasses.replace(TINY, hidden_dimension_factor=3, vocab_size=50)]
)
def test_saves_what_transformers_loads(
    tmp_path: Path, config: GPT2Config, dtype: torch.dtype, tolerance: float
) -> None:
    model = GPT2Model.from_config(config).eval()
    save_model(model, tmp_path, {"steps": "12"}, dtype)
    loaded = load_model(tmp_path)
    same_as_reference(loaded, tmp_path)
    assert loaded.config == config
    for name, tensor in model.state_dict().items():
        assert_close(loaded.state_dict()[name], tensor, atol=tolerance, rtol=0)
    with safe_open(tmp_path / WEIGHTS, framework="pt") as file:
        assert file.metadata() == {"format": "pt", "steps": "12"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.json", WEIGHTS]
    assert len({path.stat().st_mode for path in tmp_path.iterdir()}) == 1


def test_sinusoidal_positions(tmp_path: Path) -> None:
    model = GPT2Model.from_config(dataclasses.replace(TINY, positions="sinusoidal")).eval()
    save_model(model, tmp_path, {}, torch.float32)
    ids = torch.arange(5)[None]
    assert torch.equal(load_model(tmp_path)(ids), model(ids))


def test_a_failed_save_leaves_the_old_files(tmp_path: Path) -> None:
    model = GPT2Model.from_config(TINY)
    save_model(model, tmp_path, {}, torch.float32)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    with torch.no_grad():
        model.wte.weight[3, 4] = 1e30
    with pytest.raises(ValueError, match=r"wte\.weight .* torch\.float16"):
        save_model(model, tmp_path, {}, torch.float16)
    with pytest.raises(TypeError):
        save_model(model, tmp_path, {"steps": 12}, torch.float32)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def rename(old: str, new: str) -> Callable[[Tensors], object]:
    return lambda tensors: tensors.update({new: tensors.pop(old)})


def reshape(name: str, shape: tuple[int, ...]) -> Callable[[Tensors], object]:
    return lambda tensors: tensors.update({name: (tensors[name][0], shape, tensors[name][2])})


def fill(name: str, value: float) -> Callable[[Tensors], object]:
    def edit(tensors: Tensors) -> None:
        dtype, shape, data = tensors[name]
        tensors[name] = (dtype, shape, data[:-4] + struct.pack("<f", value))

    return edit


def as_bytes(name: str) -> Callable[[Tensors], object]:
    return lambda tensors: tensors.update(
        {name: ("I8", tensors[name][1], tensors[name][2][: len(tensors[name][2]) // 4])}
    )


MISMATCHES: list[tuple[Callable[[Tensors], object], str]] = [
    (rename("h.1.mlp.c_fc.bias", "h.1.mlp.fc.bias"), "h.1.mlp.fc.bias is not a weight of it"),
    (rename("h.1.mlp.c_fc.bias", "h.1.mlp.fc.bias"), "h.1.mlp.c_fc.bias is missing"),
    (lambda tensors: tensors.pop("wpe.weight"), "wpe.weight is missing"),
    (
        reshape("h.0.attn.c_attn.weight", (72, 24)),
        "c_attn.weight has shape (72, 24) instead of (24",
    ),
    (reshape("ln_f.bias", (1, 24)), "ln_f.bias has shape (1, 24) instead of (24,)"),
    (as_bytes("h.0.ln_1.weight"), "h.0.ln_1.weight has dtype I8 instead of F32, F16, BF16"),
    (fill("h.1.attn.c_proj.weight", float("nan")), "h.1.attn.c_proj.weight holds numbers that are"),
    (fill("wte.weight", float("inf")), "wte.weight holds numbers that are NaN or infinite"),
    (fill("ln_f.weight", float("-inf")), "ln_f.weight holds numbers that are NaN or infinite"),
    (lambda t: t.update({"transformer.ln_f.bias": t["ln_f.bias"]}), "ln_f.bias is there twice"),
    (
        lambda t: t.update({"lm_head.weight": t["wte.weight"]}) or fill("lm_head.weight", 1)(t),
        "tied",
    ),
    (rename("ln_f.bias", "h.2.ln_1.bias"), "h.2.ln_1.bias is not a weight of it"),
]


@pytest.mark.parametrize(("edit", "words"), MISMATCHES)
def test_every_mismatch_names_the_tensor(
    tmp_path: Path, edit: Callable[[Tensors], object], words: str
) -> None:
    write_gpt2_folder(tmp_path, TINY, edit=edit)
    with pytest.raises(CheckpointError, match=re.escape(words)) as caught:
        load_model(tmp_path)
    assert WEIGHTS in str(caught.value)
    assert str(tmp_path) not in str(caught.value)  # visitors read it


def test_many_mismatches_stay_one_short_message(tmp_path: Path) -> None:
    write_gpt2_folder(tmp_path, TINY)
    text = (tmp_path / "config.json").read_text()
    (tmp_path / "config.json").write_text(text.replace('"n_layer": 2', '"n_layer": 4'))
    with pytest.raises(CheckpointError, match=r"h\.2\.ln_1\.weight is missing.*and 19 more"):
        load_model(tmp_path)


@pytest.mark.parametrize("end", [0, 4, 8, 100, -1])
def test_a_file_that_is_cut(tmp_path: Path, end: int) -> None:
    write_gpt2_folder(tmp_path, TINY)
    path = tmp_path / WEIGHTS
    path.write_bytes(path.read_bytes()[:end])
    with pytest.raises(CheckpointError, match="not a whole safetensors file"):
        load_model(tmp_path)


def test_a_pickle_is_not_read(tmp_path: Path) -> None:
    write_gpt2_folder(tmp_path, TINY)
    torch.save({"wte.weight": torch.zeros(2)}, tmp_path / WEIGHTS)
    with pytest.raises(CheckpointError, match="not a whole safetensors file"):
        load_model(tmp_path)


def test_no_file(tmp_path: Path) -> None:
    write_gpt2_folder(tmp_path, TINY)
    (tmp_path / WEIGHTS).unlink()
    with pytest.raises(CheckpointError, match="cannot be read"):
        load_model(tmp_path)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(data=st.data())
def test_any_header_ends_in_a_model_or_a_message(tmp_path: Path, data: st.DataObject) -> None:
    """Bytes of the header changed at random: never another exception, never other weights."""
    if not (tmp_path / "right").exists():
        write_gpt2_folder(tmp_path, dataclasses.replace(TINY, num_blocks=1, vocab_size=7))
        (tmp_path / "right").write_bytes((tmp_path / WEIGHTS).read_bytes())
    whole = bytearray((tmp_path / "right").read_bytes())
    header = struct.unpack("<Q", whole[:8])[0] + 8
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, header - 1))] = data.draw(st.integers(0, 255))
    (tmp_path / WEIGHTS).write_bytes(whole)
    try:
        model = load_model(tmp_path)
    except CheckpointError:
        return
    assert all(tensor.isfinite().all() for tensor in model.state_dict().values())


def test_a_header_of_a_million_tensors_is_refused_unread(tmp_path: Path) -> None:
    write_gpt2_folder(tmp_path, TINY)
    names = (
        f'"extra.{i}":{{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}' for i in range(10**6)
    )
    header = f"{{{','.join(names)}}}".encode()
    (tmp_path / WEIGHTS).write_bytes(struct.pack("<Q", len(header)) + header + b"\0" * 16)
    began = time.perf_counter()
    with pytest.raises(CheckpointError, match=r"lists its tensors in 6\d MB"):
        load_model(tmp_path)
    assert time.perf_counter() - began < 1  # reading it takes a minute


def test_the_largest_model_s_header_is_far_from_the_bound(tmp_path: Path) -> None:
    deep = dataclasses.replace(TINY, num_blocks=200)
    write_gpt2_folder(tmp_path, deep, prefix="transformer.")
    length = struct.unpack("<Q", (tmp_path / WEIGHTS).read_bytes()[:8])[0]
    assert 5 * length < 200 * 20_000
    assert load_model(tmp_path).config.num_blocks == 200


def test_the_stand_in_writes_what_safetensors_reads(tmp_path: Path) -> None:
    values = torch.arange(6.0).view(2, 3)
    (tmp_path / WEIGHTS).write_bytes(container({"a": ("F32", (2, 3), raw(values))}))
    with safe_open(tmp_path / WEIGHTS, framework="pt") as file:
        assert torch.equal(file.get_tensor("a").clone(), values)


def test_loading_does_not_import_the_compiler() -> None:
    code = "import sys, gpt2; gpt2.load('tiny'); sys.exit('torch._dynamo' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
