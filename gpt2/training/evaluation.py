"""How well a model predicts text, in bits per byte: the same unit for every vocabulary."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F

from gpt2.model import GPT2Model
from gpt2.tokenizer import Tokenizer


@torch.no_grad()
def bits_per_byte(model: GPT2Model, tokenizer: Tokenizer, documents: list[str]) -> float:
    """-sum log2 p(token) / bytes, over all tokens of `documents`.

    Each document starts from `<|endoftext|>`. Longer ones slide the window by half a context, so
    every later token is predicted from at least half a context.
    """
    was_training = model.training
    model.eval()
    bits = sum(_document_bits(model, tokenizer, document) for document in documents)
    model.train(was_training)
    return bits / sum(len(document.encode()) for document in documents)


def _document_bits(model: GPT2Model, tokenizer: Tokenizer, document: str) -> float:
    context = model.config.max_seq_len
    ids = torch.tensor(
        [tokenizer.end_of_text, *tokenizer.encode(document)], device=model.ln_f.weight.device
    )
    nats, scored = 0.0, 0
    while scored < len(ids) - 1:
        start = max(0, scored - context // 2)
        window = ids[start : start + context + 1]
        logits = model(window[None, :-1])[0, scored - start :].float()
        nats += F.cross_entropy(logits, window[scored - start + 1 :], reduction="sum").item()
        scored = start + len(window) - 1
    return nats / math.log(2)
