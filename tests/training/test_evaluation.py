"""Bits per byte is what one would compute by hand."""

from __future__ import annotations

import math

import pytest
import torch

from gpt2.config import GPT2Config
from gpt2.tokenizer import Tokenizer
from gpt2.training.evaluation import bits_per_byte
from tests.reference import ours, random_checkpoint

TOKENIZER = Tokenizer(300)
CONFIG = GPT2Config(300, 12, 3, 4, 2, 9, 4)
MODEL = ours(CONFIG, random_checkpoint(CONFIG))
LENGTHS = [1, 8, 9, 10, 13, 14, 15, 40, 41, 42, 43, 44, 45]


@torch.no_grad()
def by_hand(document: str, context: int) -> float:
    """Bits of a document, one token at a time, each from its own window."""
    ids = [TOKENIZER.end_of_text, *TOKENIZER.encode(document)]
    stride = context - context // 2
    bits = 0.0
    for place in range(1, len(ids)):
        start = max(0, math.ceil((place - context) / stride)) * stride
        assert place - start >= min(place, context // 2)
        probability = MODEL(torch.tensor([ids[start:place]]))[0, -1].double().softmax(-1)
        bits -= math.log2(probability[ids[place]])
    return bits


@pytest.mark.parametrize("length", LENGTHS)
def test_every_token_is_scored_once_from_half_a_context_or_more(length: int) -> None:
    document = "héllo, world; " * 9
    document = document[:length]
    expected = by_hand(document, CONFIG.max_seq_len) / len(document.encode())
    assert bits_per_byte(MODEL, TOKENIZER, [document]) == pytest.approx(expected, rel=1e-5)


def test_documents_count_by_their_bytes() -> None:
    documents = ["日本語", "plain text of some length", "x"]
    bits = sum(by_hand(document, CONFIG.max_seq_len) for document in documents)
    size = sum(len(document.encode()) for document in documents)
    assert bits_per_byte(MODEL, TOKENIZER, documents) == pytest.approx(bits / size, rel=1e-5)


def test_a_model_that_knows_nothing_pays_log2_of_the_vocabulary() -> None:
    checkpoint = random_checkpoint(CONFIG)
    checkpoint["wte.weight"].zero_()
    document = "to be or not to be" * 4
    expected = len(TOKENIZER.encode(document)) * math.log2(300) / len(document)
    found = bits_per_byte(ours(CONFIG, checkpoint), TOKENIZER, [document])
    assert found == pytest.approx(expected, rel=1e-6)


def test_scoring_uses_no_dropout_and_leaves_training_on() -> None:
    model = ours(CONFIG, random_checkpoint(CONFIG)).train()
    score = bits_per_byte(model, TOKENIZER, ["some text"])
    assert model.training
    assert score == bits_per_byte(MODEL, TOKENIZER, ["some text"])
