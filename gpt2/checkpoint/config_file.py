"""The hub's `config.json` to and from `GPT2Config`: the only file that knows its keys."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from reprlib import repr as shortened
from typing import Any

from gpt2.checkpoint.errors import CheckpointError
from gpt2.checkpoint.source import CONFIG_FILE, read_object
from gpt2.config import GPT2Config
from gpt2.tokenizer import Tokenizer

GENERATION_FILE = "generation_config.json"
# Keys that change what the model computes, with the values that this model computes. Files often
# leave them out, and then mean the first.
_FIXED: dict[str, tuple[object, ...]] = {
    "model_type": ("gpt2",),
    # The last two are the same formula under the names of other implementations.
    "activation_function": ("gelu_new", "gelu_pytorch_tanh", "gelu_fast"),
    "scale_attn_weights": (True,),
    "scale_attn_by_inverse_layer_idx": (False, True),
    "add_cross_attention": (False,),
    "tie_word_embeddings": (True,),
}
_MOST = 10**9
_LARGEST = 3e38  # what float32 holds
_MOST_BLOCKS = 1000  # far above any GPT-2; a mistyped number must not fill the memory


@dataclass(frozen=True, slots=True)
class Stored:
    """What a folder says of its weights.

    `rows` are those of the token embedding as the file has it. `config.vocab_size` counts only the
    ids that the tokenizer has: to the others some models are padded, and nobody must draw them.
    `scaled_by_layer`: scores of the layer n, from 0, are divided by n + 1 once more.
    """

    config: GPT2Config
    rows: int
    scaled_by_layer: bool


def read_config(folder: Path) -> GPT2Config:
    """The shape of the model in `folder`. Keys that say nothing about it are ignored.

    Raises CheckpointError, which names the key, when this program cannot run such a model.
    """
    return read_stored(folder).config


def read_stored(folder: Path) -> Stored:
    """`read_config`, and how the weights are stored."""
    stored = check_config(folder)
    try:
        known = read_tokenizer(folder).vocab_size
    except CheckpointError:  # said to whoever wants text
        return stored
    return replace(stored, config=replace(stored.config, vocab_size=min(known, stored.rows)))


def read_tokenizer(folder: Path) -> Tokenizer:
    """The tokenizer of the model in `folder`: of its own files, else GPT-2's.

    Raises CheckpointError for a kind that cannot be read here or does not fit the model.
    """
    keys = read_object(folder / CONFIG_FILE)
    rows = _whole(keys, "vocab_size")
    start = keys.get("bos_token_id")
    try:
        return Tokenizer.for_folder(
            folder, rows, _ends(folder, keys), start if isinstance(start, int) else None
        )
    except ValueError as error:
        raise CheckpointError(f"This model's text cannot be read here: {error}.") from error


def _ends(folder: Path, keys: dict[str, Any]) -> list[int] | None:
    """The ids that end a text, as generation_config.json says, or else config.json."""
    path = folder / GENERATION_FILE
    generation = read_object(path) if path.is_file() else {}
    for said, file in ((generation, GENERATION_FILE), (keys, CONFIG_FILE)):
        value = said.get("eos_token_id")
        if value is None:
            continue
        ids = value if isinstance(value, list) else [value]
        if not all(isinstance(i, int) and not isinstance(i, bool) and i >= 0 for i in ids):
            raise CheckpointError(f"{file} has eos_token_id {shortened(value)}; ids are needed.")
        return ids
    return None


def check_config(folder: Path) -> Stored:
    """What `config.json` alone says, whether or not a tokenizer is there.

    Raises CheckpointError, which names the key, when this program cannot run such a model.
    """
    keys = read_object(folder / CONFIG_FILE)
    for key, values in _FIXED.items():
        if keys.get(key, values[0]) not in values:
            only = " or ".join(map(repr, values))
            raise CheckpointError(
                f"{CONFIG_FILE} has {key} {shortened(keys[key])}; only {only} can be run here."
            )
    width, heads = _whole(keys, "n_embd"), _whole(keys, "n_head")
    wide = _whole(keys, "n_inner") if keys.get("n_inner") is not None else 4 * width
    for key, value in (("n_head", heads), ("n_inner", wide)):
        if (width % value if key == "n_head" else value % width) != 0:
            raise CheckpointError(
                f"{CONFIG_FILE} has {key} {value}, which does not fit n_embd {width}."
            )
    blocks = _whole(keys, "n_layer")
    if blocks > _MOST_BLOCKS:
        raise CheckpointError(
            f"{CONFIG_FILE} has n_layer {shortened(blocks)}; at most {_MOST_BLOCKS} can be run."
        )
    try:
        config = GPT2Config(
            vocab_size=_whole(keys, "vocab_size"),
            embedding_dimension=width,
            num_heads=heads,
            hidden_dimension=width // heads,
            num_blocks=blocks,
            max_seq_len=_whole(keys, "n_positions"),
            hidden_dimension_factor=wide // width,
            dropout_rate=_number(keys, "resid_pdrop", 0.1),
            positions=keys.get("positions", "learned"),
            layer_norm_epsilon=_number(keys, "layer_norm_epsilon", 1e-5),
        )
    except ValueError as error:
        raise CheckpointError(f"{CONFIG_FILE} does not describe a GPT-2: {error}.") from error
    return Stored(config, config.vocab_size, keys.get("scale_attn_by_inverse_layer_idx") is True)


def config_text(config: GPT2Config) -> str:
    """`config.json` as the hub writes it; the last id of the vocabulary ends a text.

    Weights may be stored in 16 bits. Without a word on it `transformers` would compute in them too.
    """
    wide = config.hidden_dimension_factor
    keys: dict[str, object] = {
        "activation_function": "gelu_new",
        "architectures": ["GPT2LMHeadModel"],
        "attn_pdrop": config.dropout_rate,
        "bos_token_id": config.vocab_size - 1,
        "dtype": "float32",
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


def _whole(keys: dict[str, Any], key: str) -> int:
    value = keys.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= _MOST:
        has = f"has {key} {shortened(value)}" if key in keys else f"lacks {key}"
        raise CheckpointError(f"{CONFIG_FILE} {has}; a whole number from 1 to {_MOST:,} is needed.")
    return value


def _number(keys: dict[str, Any], key: str, default: float) -> float:
    value = keys.get(key, default)
    right = isinstance(value, int | float) and not isinstance(value, bool)
    if not right or not 0 <= value <= _LARGEST:  # NaN is in no range
        raise CheckpointError(
            f"{CONFIG_FILE} has {key} {shortened(value)}; a finite number from 0 up is needed."
        )
    return float(value)
