"""The public weights answer as published: `pytest -m hub` downloads them, with `fetch`."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from gpt2.checkpoint import fetch, find_source, load_model
from gpt2.config import SIZES
from gpt2.model import GPT2Model

pytestmark = [pytest.mark.hub, pytest.mark.timeout(7200)]

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "real_outputs.json").read_text())
CHECKS = [
    pytest.param(name, check, id=f"{name}-{check['kind']}-{number}")
    for name in ("small", "medium")
    for number, check in enumerate(GOLDEN[name])
]
SIZES_TO_LOAD = [
    pytest.param(name, marks=[pytest.mark.slow] if name in ("large", "xl") else [])
    for name, size in SIZES.items()
    if not size.built_in
]


@cache
def model(name: str) -> GPT2Model:
    return load_model(fetch(find_source(name)))


@pytest.mark.parametrize("name", SIZES_TO_LOAD)
def test_loads(name: str) -> None:
    folder = fetch(find_source(name))
    real = load_model(folder)
    assert real.config == SIZES[name].config
    assert sum(parameter.numel() for parameter in real.parameters()) == real.config.num_parameters
    if name not in ("large", "xl"):  # whose sizes are estimates in SIZES
        assert (folder / "model.safetensors").stat().st_size == SIZES[name].download_bytes


@pytest.mark.parametrize(("name", "check"), CHECKS)
@torch.inference_mode()
def test_answers_as_published(name: str, check: dict[str, Any]) -> None:
    {
        "greedy": check_greedy,
        "logits": check_logits,
        "mean_nll": check_loss,
        "mean_nll_batch": check_loss,
    }[check["kind"]](model(name), check)


def check_greedy(real: GPT2Model, check: dict[str, Any]) -> None:
    ids = list(check["ids"])
    for expected in check["new"]:
        assert int(real(torch.tensor([ids]))[0, -1].argmax()) == expected
        ids.append(expected)


def check_logits(real: GPT2Model, check: dict[str, Any]) -> None:
    logits = real(torch.tensor([check["ids"]]))[0]  # (T, V)
    assert logits.argmax(-1).tolist() == check["argmax_each_row"]
    for key, row in (
        ("row0", logits[0]),
        ("last", logits[-1]),
        ("softmax", logits[-1].softmax(-1)),
    ):
        for token, expected in check.get(key, {}).items():
            tolerance = 1e-4 if key == "softmax" else check["tol"]
            assert float(row[int(token)]) == pytest.approx(expected, abs=tolerance), (key, token)
    if "min_last" in check:
        assert float(logits[-1].min()) == pytest.approx(check["min_last"], abs=check["tol"])
    if "entropy_T1_nats" in check:
        entropy = torch.distributions.Categorical(logits=logits[-1]).entropy()
        assert float(entropy) == pytest.approx(check["entropy_T1_nats"], abs=1e-3)


def check_loss(real: GPT2Model, check: dict[str, Any]) -> None:
    """The mean loss of the next token, over B rows of T where the check has a batch."""
    ids = torch.tensor(check["ids"])
    rows = check.get("B", 1)
    logits = real(ids[:-1].view(rows, -1)).flatten(0, 1)
    expected = pytest.approx(check["value"], abs=check.get("tol"))
    assert float(F.cross_entropy(logits, ids[1:])) == expected
