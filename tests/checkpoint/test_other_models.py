"""Models that are not OpenAI's, made by `transformers`: the same numbers, in every precision."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import GPT2Config as TheirConfig
from transformers import GPT2LMHeadModel

from gpt2.checkpoint import CheckpointError, load_model, open_weights, read_config, read_tokenizer
from gpt2.loading import load
from gpt2.precision import PRECISIONS
from gpt2.sampling import SamplingOptions
from tests.hub_standin import shard
from tests.tokenizer.test_files import byte_level, train

WEIGHTS = "model.safetensors"
SHAPE: dict[str, Any] = {
    "vocab_size": 700,
    "n_positions": 64,
    "n_embd": 48,
    "n_layer": 5,
    "n_head": 4,
    "eos_token_id": 699,
    "bos_token_id": 699,
}


def make(folder: Path, seed: int = 0, deviation: float = 0.2, **changes: Any) -> GPT2LMHeadModel:
    """A random model of unit scale, saved by `transformers`."""
    torch.manual_seed(seed)
    config = TheirConfig(**(SHAPE | {"initializer_range": deviation} | changes))
    model = GPT2LMHeadModel(config).eval()
    model.save_pretrained(folder)
    return model


def edit_config(folder: Path, **changes: Any) -> None:
    path = folder / "config.json"
    keys = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({key: value for key, value in keys.items() if value != "absent"}))


IDS = torch.arange(2, 602, 12).view(1, 50)


def check_same(folder: Path, theirs: GPT2LMHeadModel, rows: int = 700) -> None:
    ids = IDS % rows
    with torch.inference_mode():
        expected, found = theirs(ids).logits[..., :rows], load_model(folder)(ids)
    assert found.shape == expected.shape
    scale = max(1.0, float(expected.abs().max()))
    assert float((found - expected).abs().max()) < 1e-5 * scale


def check_every_precision(folder: Path, theirs: GPT2LMHeadModel) -> None:
    """What rounding weights changes: probabilities, by what each precision is known to change."""
    with torch.inference_mode():
        expected = theirs(IDS).logits.softmax(-1)
    for precision in PRECISIONS["cpu"]:
        engine = load(str(folder), precision, device="cpu")
        assert engine.precision == precision
        logits = np.stack([engine.logits(ids) for ids in IDS.tolist()])
        found = torch.tensor(logits).softmax(-1)
        limit = {"float32": 1e-5, "float16": 5e-3, "int8": 0.05, "int4": 0.5}[precision]
        assert float((found - expected).abs().max()) < limit, precision


VARIANTS: dict[str, dict[str, Any]] = {
    "scores divided by layer": {"scale_attn_by_inverse_layer_idx": True},
    "the same, reordered": {
        "scale_attn_by_inverse_layer_idx": True,
        "reorder_and_upcast_attn": True,
    },
    "gelu_pytorch_tanh": {"activation_function": "gelu_pytorch_tanh"},
    "gelu_fast": {"activation_function": "gelu_fast"},
    "a wide feed-forward layer": {"n_inner": 96},
    "another epsilon": {"layer_norm_epsilon": 0.3},
}


@pytest.mark.parametrize("name", VARIANTS)
def test_a_variant_has_transformers_numbers(tmp_path: Path, name: str) -> None:
    theirs = make(tmp_path, **VARIANTS[name])
    check_same(tmp_path, theirs)
    check_every_precision(tmp_path, theirs)


def test_layers_divided_by_their_number_differ_from_those_that_are_not(tmp_path: Path) -> None:
    """Else the test above would prove nothing."""
    theirs = make(tmp_path, scale_attn_by_inverse_layer_idx=True)
    edit_config(tmp_path, scale_attn_by_inverse_layer_idx=False)
    with torch.inference_mode():
        difference = (load_model(tmp_path)(IDS) - theirs(IDS).logits).abs().max()
    assert float(difference) > 1e-2


def test_a_model_without_layer_norms(tmp_path: Path) -> None:
    """Epsilon of 1e12 makes a constant of each; its gain then holds the whole scale."""
    torch.manual_seed(1)
    config = TheirConfig(**SHAPE, layer_norm_epsilon=1e12, initializer_range=0.2)
    theirs = GPT2LMHeadModel(config).eval()
    with torch.no_grad():
        for name, parameter in theirs.named_parameters():
            if "ln_" in name and name.endswith("weight"):
                parameter.fill_(1e6).mul_(1 + 0.1 * torch.randn_like(parameter))
    theirs.save_pretrained(tmp_path)
    check_same(tmp_path, theirs)
    check_every_precision(tmp_path, theirs)


def test_a_head_saved_alone_is_the_embedding(tmp_path: Path) -> None:
    theirs = make(tmp_path)
    state = load_file(tmp_path / WEIGHTS)
    state["lm_head.weight"] = state.pop("transformer.wte.weight")
    save_file(state, tmp_path / WEIGHTS, {"format": "pt"})
    check_same(tmp_path, theirs)


def test_weights_in_several_files(tmp_path: Path) -> None:
    theirs = make(tmp_path)
    theirs.save_pretrained(tmp_path / "theirs", max_shard_size="100KB")
    assert len(list((tmp_path / "theirs").glob("*.safetensors"))) > 2
    check_same(tmp_path / "theirs", theirs)


def change_index(folder: Path, change: Callable[[dict[str, str]], object]) -> None:
    path = folder / "model.safetensors.index.json"
    keys = json.loads(path.read_text())
    change(keys["weight_map"])
    path.write_text(json.dumps(keys))


SHARDS: list[tuple[Callable[[Path], object], str]] = [
    (lambda f: (f / "model-00002-of-00002.safetensors").unlink(), "00002.safetensors cannot be"),
    (
        lambda f: (f / "model-00001-of-00002.safetensors").write_bytes(
            (f / "model-00002-of-00002.safetensors").read_bytes()
        ),
        "model-00001-of-00002.safetensors lacks",
    ),
    (lambda f: change_index(f, lambda m: m.pop(min(m))), "has, unlisted,"),
    (lambda f: change_index(f, lambda m: m.update({min(m): "../x.safetensors"})), "'../x.safe"),
    (lambda f: change_index(f, lambda m: m.update({min(m): "/x.safetensors"})), "'/x.safe"),
    (lambda f: change_index(f, lambda m: m.clear()), "has no weight_map"),
    (lambda f: (f / "model.safetensors.index.json").write_text("{"), "is not JSON"),
]


@pytest.mark.parametrize(("damage", "words"), SHARDS)
def test_files_that_are_not_what_the_index_says(
    tmp_path: Path, damage: Callable[[Path], object], words: str
) -> None:
    make(tmp_path)
    shard(tmp_path)
    load_model(tmp_path)
    damage(tmp_path)
    with pytest.raises(CheckpointError, match=words) as caught:
        load_model(tmp_path)
    assert str(tmp_path) not in str(caught.value)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, -1.0, 10**99])
def test_an_epsilon_that_is_no_number_is_refused(tmp_path: Path, value: float) -> None:
    make(tmp_path)
    edit_config(tmp_path, layer_norm_epsilon=value)
    with pytest.raises(CheckpointError, match=r"layer_norm_epsilon .*; a finite number"):
        read_config(tmp_path)


def test_a_config_nested_too_deep_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"a":' * 100_000)
    with pytest.raises(CheckpointError, match="nested too deep"):
        read_config(tmp_path)


def test_rows_that_pad_the_vocabulary_are_no_tokens(tmp_path: Path) -> None:
    """As nanoGPT's 50,304: they are not in the model at all, so nobody can draw them."""
    folder = tmp_path / "own"
    made = train(folder, byte_level())
    known = made.get_vocab_size()
    theirs = make(folder, vocab_size=768, eos_token_id=0, bos_token_id=0)
    with torch.no_grad():  # nothing is likelier than padding
        theirs.transformer.wte.weight[known:] *= 30
    theirs.save_pretrained(folder)
    assert read_config(folder).vocab_size == known < 768
    check_same(folder, theirs, known)
    for precision in ("float32", "int8"):
        engine = load(str(folder), precision)
        ids = engine.generate_ids([5, 6], 30, SamplingOptions(temperature=2.0, seed=3))
        assert max(ids) < known
        assert engine.encode("hello") == made.encode("hello").ids


def test_nanogpt_s_padding_without_a_tokenizer(tmp_path: Path) -> None:
    make(tmp_path, vocab_size=50_304, n_embd=8, n_layer=1, n_head=1, eos_token_id=50_256)
    assert read_config(tmp_path).vocab_size == 50_257
    assert load_model(tmp_path).wte.weight.shape == (50_257, 8)


ENDS: list[tuple[Any, Any, set[int]]] = [
    (30, "absent", {30}),
    ([5, 9], "absent", {5, 9}),
    (30, 7, {7}),
    (30, [7, 8], {7, 8}),
    ("absent", 7, {7}),
]


@pytest.mark.parametrize(("config", "generation", "ends"), ENDS)
def test_the_text_ends_where_the_files_say(
    tmp_path: Path, config: Any, generation: Any, ends: set[int]
) -> None:
    train(tmp_path, byte_level())
    make(tmp_path)
    edit_config(tmp_path, eos_token_id=config)
    said = {} if generation == "absent" else {"eos_token_id": generation}
    (tmp_path / "generation_config.json").write_text(json.dumps(said))
    assert read_tokenizer(tmp_path).ends == ends


def test_a_text_ends_at_each_of_several_ids(tmp_path: Path) -> None:
    """And not at the last id of the vocabulary, which is an ordinary token here."""
    train(tmp_path, byte_level())
    theirs = make(tmp_path, vocab_size=707)
    for end in (40, 41):
        with torch.no_grad():  # whatever was read, `end` follows
            theirs.transformer.ln_f.weight.zero_()
            theirs.transformer.ln_f.bias.copy_(theirs.transformer.wte.weight[end] * 50)
        theirs.save_pretrained(tmp_path)
        (tmp_path / "generation_config.json").write_text('{"eos_token_id": [40, 41]}')
        events = list(load(str(tmp_path)).stream("hello", SamplingOptions(temperature=0.0)))
        assert events[-1].finish == "end of text" and len(events) == 2
    (tmp_path / "generation_config.json").write_text('{"eos_token_id": 706}')
    events = list(load(str(tmp_path)).stream("hello", SamplingOptions(temperature=0.0), 5))
    assert events[-1].finish == "tokens"


@pytest.mark.parametrize("value", ["x", [1, "x"], True, -5])
def test_an_end_that_is_no_id_is_refused(tmp_path: Path, value: Any) -> None:
    make(tmp_path)
    edit_config(tmp_path, eos_token_id=value)
    (tmp_path / "generation_config.json").unlink(missing_ok=True)
    with pytest.raises(CheckpointError, match="eos_token_id"):
        read_tokenizer(tmp_path)


def test_a_folder_called_like_the_package_is_no_model() -> None:
    """`GPT2_MODEL=gpt2`, started where this program lies."""
    root = Path(__file__).parents[2]
    program = "from gpt2.checkpoint import find_source; find_source('gpt2')"
    found = subprocess.run(
        [sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=False
    )
    assert "'gpt2' is no model (gpt2 is called small here)" in found.stderr


def test_a_file_cut_short_while_it_is_read_is_told(tmp_path: Path) -> None:
    """A mapped one would end the process, and everybody's texts with it."""
    make(tmp_path)
    program = f"""
from pathlib import Path
from gpt2.checkpoint import CheckpointError, open_weights
folder = Path({str(tmp_path)!r})
try:
    with open_weights(folder) as weights:
        with (folder / "{WEIGHTS}").open("r+b") as file:
            file.truncate(5000)
        weights.state()
except CheckpointError as error:
    print("told:", error)
"""
    found = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert found.returncode == 0, found.stderr
    assert found.stdout.startswith("told: model.safetensors")


def test_a_file_written_over_while_it_is_read_is_told(tmp_path: Path) -> None:
    """As training jobs do that keep the name: half of it would be of one model, half of another."""
    make(tmp_path)
    content = (tmp_path / WEIGHTS).read_bytes()
    with (
        pytest.raises(CheckpointError, match=f"^{WEIGHTS} was written over while it was read"),
        open_weights(tmp_path) as weights,
    ):
        weights.state("wte.")
        (tmp_path / WEIGHTS).write_bytes(content)  # of the same size
        weights.state("h.")
    with open_weights(tmp_path) as weights:  # a new file under the old name is none of its business
        (tmp_path / "new").write_bytes(content[:-4])
        os.replace(tmp_path / "new", tmp_path / WEIGHTS)
        weights.state()


@pytest.mark.parametrize("prefix", [False, True], ids=["", "a space before"])
def test_an_overfitted_model_of_another_language_says_its_sentence(
    tmp_path: Path, prefix: bool
) -> None:
    """End to end: its tokenizer, its numbers, its end."""
    made = train(tmp_path, byte_level(add_prefix_space=prefix), size=400)
    sentence = "El niño comió piñas por la mañana. 日本語のテキスト。"
    ids = torch.tensor([[*made.encode(sentence).ids, 0]])
    theirs = make(tmp_path, 3, 0.1, vocab_size=512, n_layer=2, eos_token_id=0, bos_token_id=0)
    theirs.train()
    optimizer = torch.optim.AdamW(theirs.parameters(), 3e-3)
    for _ in range(60):
        optimizer.zero_grad()
        theirs(ids, labels=ids).loss.backward()
        optimizer.step()
    theirs.eval().save_pretrained(tmp_path)
    events = list(load(str(tmp_path)).stream("El niño", SamplingOptions(temperature=0.0)))
    said = "El niño" + "".join(event.text for event in events)
    # After an added token such a tokenizer puts its space again.
    assert said.replace(" ", "") == sentence.replace(" ", "") if prefix else said == sentence
    assert events[-1].finish == "end of text"
