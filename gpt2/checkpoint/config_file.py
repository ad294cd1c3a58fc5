"""The hub's `config.json` to and from `GPT2Config`: the one place that knows its keys."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from gpt2.checkpoint.errors import CheckpointError
from gpt2.checkpoint.source import CONFIG_FILE
from gpt2.config import GPT2Config

# Keys that change what the model computes, with the only value that this model computes. Files
# often leave them out, and then mean the same.
_FIXED: dict[str, object] = {
    "model_type": "gpt2",
    "activation_function": "gelu_new",
    "scale_attn_weights": True,
    "scale_attn_by_inverse_layer_idx": False,
    "add_cross_attention": False,
    "tie_word_embeddings": True,
}
_MOST_BLOCKS = 1000  # far above any GPT-2; a mistyped number must not fill the memory


def read_config(folder: Path) -> GPT2Config:
    """The shape of the model in `folder`. Keys that say nothing about it are ignored.

    Raises CheckpointError, which names the key, when this program cannot run such a model.
    """
    path = folder / CONFIG_FILE
    keys = _read_object(path)
    for key, value in _FIXED.items():
        if keys.get(key, value) != value:
            raise CheckpointError(
                f"{path} has {key} {keys[key]!r}; only {value!r} can be run here."
            )
    width, heads = _whole(keys, "n_embd", path), _whole(keys, "n_head", path)
    wide = _whole(keys, "n_inner", path) if keys.get("n_inner") is not None else 4 * width
    for key, value in (("n_head", heads), ("n_inner", wide)):
        if (width % value if key == "n_head" else value % width) != 0:
            raise CheckpointError(f"{path} has {key} {value}, which does not fit n_embd {width}.")
    blocks = _whole(keys, "n_layer", path)
    if blocks > _MOST_BLOCKS:
        raise CheckpointError(f"{path} has n_layer {blocks}; at most {_MOST_BLOCKS} can be run.")
    try:
        return GPT2Config(
            vocab_size=_whole(keys, "vocab_size", path),
            embedding_dimension=width,
            num_heads=heads,
            hidden_dimension=width // heads,
            num_blocks=blocks,
            max_seq_len=_whole(keys, "n_positions", path),
            hidden_dimension_factor=wide // width,
            dropout_rate=_number(keys, "resid_pdrop", 0.1, path),
            positions=keys.get("positions", "learned"),
            layer_norm_epsilon=_number(keys, "layer_norm_epsilon", 1e-5, path),
        )
    except ValueError as error:
        raise CheckpointError(f"{path} does not describe a GPT-2: {error}.") from error


def config_text(config: GPT2Config) -> str:
    """`config.json` as the hub writes it; the last id of the vocabulary ends a text."""
    wide = config.hidden_dimension_factor
    keys: dict[str, object] = {
        "activation_function": "gelu_new",
        "architectures": ["GPT2LMHeadModel"],
        "attn_pdrop": config.dropout_rate,
        "bos_token_id": config.vocab_size - 1,
        "embd_pdrop": config.dropout_rate,
        "eos_token_id": config.vocab_size - 1,
        "initializer_range": 0.02,
        "layer_norm_epsilon": config.layer_norm_epsilon,
        "model_type": "gpt2",
        "n_ctx": config.max_seq_len,
        "n_embd": config.embedding_dimension,
        "n_head": config.num_heads,
        "n_inner": None if wide == 4 else wide * config.embedding_dimension,
        "n_layer": config.num_blocks,
        "n_positions": config.max_seq_len,
        "resid_pdrop": config.dropout_rate,
        "vocab_size": config.vocab_size,
    }
    if config.positions != "learned":
        keys["positions"] = config.positions  # ours: no other program knows this key
    return json.dumps(keys, indent=2) + "\n"


def _read_object(path: Path) -> dict[str, Any]:
    try:
        keys = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise CheckpointError(f"{path} is not JSON: {error}.") from error
    if not isinstance(keys, dict):
        raise CheckpointError(f"{path} holds a {type(keys).__name__}, not an object with keys.")
    return keys


def _whole(keys: dict[str, Any], key: str, path: Path) -> int:
    value = keys.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        has = f"has {key} {value!r}" if key in keys else f"lacks {key}"
        raise CheckpointError(f"{path} {has}; a whole number above 0 is needed.")
    return value


def _number(keys: dict[str, Any], key: str, default: float, path: Path) -> float:
    value = keys.get(key, default)
    if not isinstance(value, int | float) or isinstance(value, bool) or value < 0:
        raise CheckpointError(f"{path} has {key} {value!r}; a number from 0 up is needed.")
    return float(value)
