"""Surprise is the model's own loss, and what may come next sums to one."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.functional import cross_entropy

from gpt2 import Engine, GPT2Model, SamplingOptions
from gpt2.scoring import distributions, next_tokens, score
from tests.examples import examples
from tests.small import CONFIG, small_engine

WARM = SamplingOptions(temperature=0.9, top_p=0.95)
TEXT = "It was late, and the fox 🦊 was not at home. " * 3


@pytest.fixture(scope="module")
def engine() -> Engine:
    return small_engine()


@pytest.mark.parametrize("text", ["x", TEXT, TEXT * 2], ids=["one", "some", "several chunks"])
def test_the_sum_is_the_model_s_own_loss(engine: Engine, text: str) -> None:
    ids = engine.tokenizer.encode(text)
    fed = torch.tensor([[engine.tokenizer.end_of_text, *ids[:-1]]])
    loss = cross_entropy(engine.model(fed)[0].double(), torch.tensor(ids), reduction="sum")
    found = score(engine, text)
    assert found.ids == ids
    assert found.total_bits == pytest.approx(float(loss) / math.log(2), abs=1e-4)
    assert found.bits_per_byte == pytest.approx(found.total_bits / len(text.encode()), abs=1e-12)


def test_what_follows_does_not_change_the_surprise_before_it(engine: Engine) -> None:
    ids = engine.tokenizer.encode(TEXT)
    start = engine.tokenizer.decode(ids[:20])
    assert engine.tokenizer.encode(start) == ids[:20]
    found = score(engine, start).bits
    np.testing.assert_allclose(found, score(engine, TEXT).bits[:20], rtol=0, atol=1e-4)


def test_a_text_may_fill_the_context_and_no_more(engine: Engine) -> None:
    full = "x" * CONFIG.max_seq_len
    assert len(score(engine, full).bits) == CONFIG.max_seq_len
    with pytest.raises(ValueError, match=r"has 321 tokens and this model reads at most 320"):
        score(engine, full + "x")
    with pytest.raises(ValueError, match="no text to score"):
        score(engine, "")


@given(
    logits=st.lists(st.floats(-80, 80, width=32), min_size=1, max_size=60).map(np.array),
    temperature=st.floats(0, 2),
    top_k=st.integers(0, 70),
    top_p=st.floats(0.01, 1),
)
@examples(200)
def test_both_distributions_sum_to_one(
    logits: np.ndarray, temperature: float, top_k: int, top_p: float
) -> None:
    before, after = distributions(logits, SamplingOptions(temperature, top_k, top_p))
    for found in (before, after):
        assert float(found.sum()) == pytest.approx(1, abs=1e-9)
        assert bool((found >= 0).all())


def test_the_likeliest_tokens_before_and_after_sampling(engine: Engine) -> None:
    options = SamplingOptions(temperature=0.5, top_k=3)
    logits = engine.model(torch.tensor([engine.encode(TEXT)]))[0, -1].double()
    found = next_tokens(engine, TEXT, options)
    assert [c.token for c in found.likeliest] == logits.topk(10).indices.tolist()
    before, after = logits.softmax(-1), (logits / 0.5).topk(3).values.softmax(-1)
    for candidate in found.likeliest:
        assert candidate.before == pytest.approx(float(before[candidate.token]), abs=1e-6)
    assert [c.after for c in found.likeliest[:3]] == pytest.approx(after.tolist(), abs=1e-6)
    assert [c.after for c in found.likeliest[3:]] == [0] * 7
    assert found.kept == 3
    entropy = -(before * before.log2()).sum()
    assert found.entropy == pytest.approx(float(entropy), abs=1e-4)


def test_greedy_leaves_one_token(engine: Engine) -> None:
    found = next_tokens(engine, "", SamplingOptions(temperature=0))
    assert [c.after for c in found.likeliest] == [1] + [0] * 9
    assert found.kept == 1


def test_scoring_uses_what_the_engine_computes_with(engine: Engine) -> None:
    """Its own logits, and not those of the readable model beside it."""

    def no_model() -> GPT2Model:
        raise AssertionError

    other = Engine(engine.source, engine.tokenizer, no_model)
    assert score(other, TEXT).total_bits == score(engine, TEXT).total_bits
    assert next_tokens(other, TEXT, WARM) == next_tokens(engine, TEXT, WARM)
