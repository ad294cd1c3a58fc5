"""config.json to GPT2Config: the hub's own files, and what cannot be run."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import pytest

from gpt2.checkpoint import CheckpointError, read_config
from gpt2.checkpoint.config_file import config_text
from gpt2.config import SIZES, GPT2Config
from tests.checkpoint.conftest import TINY

# The keys of openai-community/gpt2 at its pinned commit; the other sizes differ in numbers and in
# the extra keys below.
HUB: dict[str, Any] = {
    "activation_function": "gelu_new",
    "architectures": ["GPT2LMHeadModel"],
    "attn_pdrop": 0.1,
    "bos_token_id": 50256,
    "embd_pdrop": 0.1,
    "eos_token_id": 50256,
    "initializer_range": 0.02,
    "layer_norm_epsilon": 1e-05,
    "model_type": "gpt2",
    "n_ctx": 1024,
    "n_embd": 768,
    "n_head": 12,
    "n_layer": 12,
    "n_positions": 1024,
    "resid_pdrop": 0.1,
    "summary_activation": None,
    "summary_first_dropout": 0.1,
    "summary_proj_to_labels": True,
    "summary_type": "cls_index",
    "summary_use_proj": True,
    "task_specific_params": {"text-generation": {"do_sample": True, "max_length": 50}},
    "vocab_size": 50257,
}
EXTRA = {"n_special": 0, "predict_special_tokens": True, "output_past": True, "_num_labels": 1}
SHAPES = [(name, size.config) for name, size in SIZES.items() if not size.built_in]


def write(folder: Path, keys: dict[str, Any]) -> Path:
    (folder / "config.json").write_text(json.dumps(keys))
    return folder


@pytest.mark.parametrize(("name", "config"), SHAPES)
def test_the_public_sizes(tmp_path: Path, name: str, config: GPT2Config) -> None:
    numbers = {
        "n_layer": config.num_blocks,
        "n_embd": config.embedding_dimension,
        "n_head": config.num_heads,
    }
    assert read_config(write(tmp_path, HUB | numbers | EXTRA)) == config


@pytest.mark.parametrize(
    "config",
    [
        TINY,
        dataclasses.replace(TINY, hidden_dimension_factor=3, layer_norm_epsilon=1e-6),
        dataclasses.replace(TINY, positions="sinusoidal", dropout_rate=0.0),
    ],
)
def test_there_and_back(tmp_path: Path, config: GPT2Config) -> None:
    (tmp_path / "config.json").write_text(config_text(config))
    assert read_config(tmp_path) == config


def test_written_keys_are_the_hub_s_own() -> None:
    keys = json.loads(config_text(GPT2Config()))
    assert keys.pop("n_inner") is None
    assert keys.pop("dtype") == "float32", "newer than OpenAI's files"
    assert {key: HUB[key] for key in keys} == keys


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("model_type", "bert", "model_type 'bert'; only 'gpt2'"),
        ("activation_function", "relu", "activation_function 'relu'; only 'gelu_new'"),
        ("scale_attn_weights", False, "scale_attn_weights False"),
        ("scale_attn_by_inverse_layer_idx", 1.5, "scale_attn_by_inverse_layer_idx 1.5"),
        ("add_cross_attention", True, "add_cross_attention True"),
        ("tie_word_embeddings", False, "tie_word_embeddings False"),
        ("n_inner", 1000, "n_inner 1000, which does not fit n_embd 768"),
        ("n_head", 7, "n_head 7, which does not fit n_embd 768"),
        ("n_head", 0, "n_head 0; a whole number from 1"),
        ("n_embd", 768.0, "n_embd 768.0; a whole number from 1"),
        ("n_layer", True, "n_layer True; a whole number from 1"),
        ("n_layer", 10**9, "n_layer 1000000000; at most 1000"),
        ("vocab_size", "50257", "vocab_size '50257'"),
        ("resid_pdrop", 1.5, "dropout_rate must be in [0, 1), not 1.5"),
        ("layer_norm_epsilon", "tiny", "layer_norm_epsilon 'tiny'"),
        ("positions", "rotary", "positions must be learned or sinusoidal, not 'rotary'"),
    ],
)
def test_what_cannot_be_run_is_named(tmp_path: Path, key: str, value: object, words: str) -> None:
    with pytest.raises(CheckpointError, match=re.escape(words)):
        read_config(write(tmp_path, HUB | {key: value}))


@pytest.mark.parametrize("key", ["n_layer", "n_head", "n_embd", "n_positions", "vocab_size"])
def test_a_missing_number_is_named(tmp_path: Path, key: str) -> None:
    keys = {name: value for name, value in HUB.items() if name != key}
    with pytest.raises(CheckpointError, match=f"lacks {key}"):
        read_config(write(tmp_path, keys))


@pytest.mark.parametrize(
    ("text", "words"),
    [(b"", "not JSON"), (b"{", "not JSON"), (b"\xff", "not JSON"), (b"[1]", "holds a list")],
)
def test_not_an_object(tmp_path: Path, text: bytes, words: str) -> None:
    (tmp_path / "config.json").write_bytes(text)
    with pytest.raises(CheckpointError, match=words):
        read_config(tmp_path)


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"config\.json cannot be read"):
        read_config(tmp_path)
