"""Measurements as JSON: plain, with units, and None where there is no number."""

from __future__ import annotations

import json

import numpy as np
import pytest

from gpt2 import SamplingOptions, Tokenizer
from gpt2.interpret import as_json
from gpt2.interpret.token_facts import view

from ..small import small_engine

ENGINE = small_engine()
IDS = [5, 6, 7, 8]
TOKENIZER = ENGINE.tokenizer


def plain(value: object) -> object:
    """As it comes back; NaN would not be JSON."""
    return json.loads(json.dumps(value, allow_nan=False))


def test_each_measurement_says_its_units() -> None:
    choices = ENGINE.probabilities(IDS, SamplingOptions(top_k=2), start_token=False)
    found = [
        as_json.choices_as_json(choices, TOKENIZER),
        as_json.lens_as_json(ENGINE.lens(IDS), TOKENIZER),
        as_json.attribution_as_json(ENGINE.attribution(IDS), TOKENIZER),
        as_json.effects_as_json(ENGINE.effects(IDS), TOKENIZER),
        as_json.patching_as_json(ENGINE.patching(IDS, [5, 9, 7, 8]), TOKENIZER),
    ]
    for each in found:
        assert plain(each) == each
        assert each["units"]
        assert each["precision"] == "float32"


def test_what_was_not_measured_is_null() -> None:
    found = as_json.effects_as_json(ENGINE.effects(IDS, heads=[(1, 2)]), TOKENIZER)
    assert found["measured"] == 1
    assert found["logits"][0] == [None, None, None]
    assert found["logits"][1][:2] == [None, None]
    assert isinstance(found["logits"][1][2], float)
    assert found["joint_logits"][0] is None


def test_attribution_sums_to_the_true_difference_in_json_too() -> None:
    found = as_json.attribution_as_json(ENGINE.attribution(IDS), TOKENIZER)
    parts = [found["embedding"], found["position_embedding"], found["final_bias"]]
    parts += [found["rounding"], *np.ravel(found["heads"]), *found["attention_biases"]]
    assert sum([*parts, *found["mlps"]]) == pytest.approx(found["true"], abs=1e-4)


def test_flips_and_ranges_are_plain() -> None:
    options = SamplingOptions(1.3, seed=3)
    ids = [*IDS, *ENGINE.generate_ids(IDS, 6, options)]
    ranges = as_json.ranges_as_json(ENGINE.flip_ranges(ids, 4, options), TOKENIZER)
    flips = as_json.flips_as_json(ENGINE.flips(ids, 4, SamplingOptions(0, seed=3)), TOKENIZER)
    assert plain(ranges) == ranges
    assert plain(flips) == flips
    assert [each["place"] for each in ranges] == [4, 5, 6, 7, 8, 9]
    assert flips[0]["certain"]


def test_a_tree_of_merges_ends_in_single_bytes() -> None:
    found = as_json.view_as_json(view(Tokenizer(), " king", 8192))
    assert plain(found) == found
    (tree,) = found["tokens"]

    def leaves(node: dict) -> list[int]:
        parts = node.get("parts")
        return node["bytes"] if parts is None else [b for part in parts for b in leaves(part)]

    assert bytes(leaves(tree)) == b" king"
    assert bytes(tree["bytes"]) == b" king"
