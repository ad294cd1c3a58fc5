"""The shapes a GPT-2 can have, and the list of sizes."""

from __future__ import annotations

import dataclasses
import inspect
import json
import re
from pathlib import Path

import pytest

from gpt2.config import SIZES, GPT2Config
from gpt2.model import GPT2Model

GOLDEN = json.loads((Path(__file__).parent / "golden" / "sizes.json").read_text())["sizes"]


@pytest.mark.parametrize("size", GOLDEN)
def test_sizes_are_the_published_ones(size: str) -> None:
    entry, config = GOLDEN[size], SIZES[size].config
    assert config.num_parameters == entry["parameters"]
    shape = (config.num_blocks, config.embedding_dimension, config.num_heads)
    assert shape == (entry["n_layer"], entry["n_embd"], entry["n_head"])
    assert (config.vocab_size, config.max_seq_len) == (50257, 1024)
    assert SIZES[size].repo == entry["repo"]


def test_sizes_are_listed_smallest_first() -> None:
    counts = [size.config.num_parameters for size in SIZES.values()]
    assert counts == sorted(counts)
    assert [name for name, size in SIZES.items() if size.built_in] == ["tiny", "mini"]


@pytest.mark.parametrize("size", [size for size in SIZES.values() if not size.built_in])
def test_a_downloaded_size_is_pinned_to_one_file(size) -> None:
    assert re.fullmatch("[0-9a-f]{40}", size.revision)
    assert re.fullmatch("[0-9a-f]{64}", size.sha256)
    assert size.download_bytes >= 4 * size.config.num_parameters


def test_the_model_takes_the_config_s_fields_by_name_and_default() -> None:
    parameters = list(inspect.signature(GPT2Model).parameters.values())
    fields = dataclasses.fields(GPT2Config)
    assert [(p.name, p.default) for p in parameters] == [(f.name, f.default) for f in fields]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"embedding_dimension": 700}, "embedding_dimension 700 must be num_heads 12 x .* 64"),
        ({"num_heads": 11}, "embedding_dimension 768 must be num_heads 11 x .* 64"),
        ({"num_blocks": 0}, "num_blocks must be a whole number above 0, not 0"),
        ({"max_seq_len": 2.5}, "max_seq_len must be a whole number above 0, not 2.5"),
        ({"vocab_size": -1}, "vocab_size must be a whole number above 0, not -1"),
        ({"dropout_rate": 1}, r"dropout_rate must be in \[0, 1\), not 1"),
        ({"dropout_rate": float("nan")}, "not nan"),
        ({"positions": "rotary"}, "learned or sinusoidal, not 'rotary'"),
    ],
)
def test_a_shape_that_cannot_be_quotes_the_numbers(wrong: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        GPT2Config(**wrong)
    with pytest.raises(ValueError, match=message):
        GPT2Model(**wrong)


def test_a_config_cannot_change_under_a_model() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        GPT2Config().num_blocks = 3
