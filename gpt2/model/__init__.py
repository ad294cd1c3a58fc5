"""GPT-2 itself: token ids in, logits out. Nothing here knows text, files or who is watching.

Read `gpt2.model.gpt2` first, then `block`, then `attention`. Shapes, everywhere in this package: B
batch, T tokens fed now, S tokens attended to (S >= T: a cache holds the other S - T), H heads, D
width of a head, C embedding width (H * D), V vocabulary, L blocks ("layers" in the page).
"""

from gpt2.model.attention import (
    Attend,
    KVCache,
    attention_weights,
    causal_attention,
    causal_mask,
)
from gpt2.model.gpt2 import GPT2Model

__all__ = [
    "Attend",
    "GPT2Model",
    "KVCache",
    "attention_weights",
    "causal_attention",
    "causal_mask",
]
