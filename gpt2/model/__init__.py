"""GPT-2 itself: token ids in, logits out. Nothing here knows text, files or who is watching.

Shapes, everywhere in this package: B batch, T tokens fed now, S tokens attended to (S >= T: the
cache holds the other S - T), H heads, D width of a head, C embedding width (H * D), V vocabulary,
L blocks ("layers" in the page).
"""

from gpt2.model.attention import (
    Attend,
    AttentionRecorder,
    FusedAttention,
    RowByRow,
    attention_weights,
    causal_mask,
)
from gpt2.model.gpt2 import GPT2Model
from gpt2.model.kv_cache import NO_CACHE, Cache, KVCache
from gpt2.model.ragged import RaggedBatch
from gpt2.model.slots import SlotCache, SlotReader
from gpt2.model.transformer_block import TransformerBlock

__all__ = [
    "NO_CACHE",
    "Attend",
    "AttentionRecorder",
    "Cache",
    "FusedAttention",
    "GPT2Model",
    "KVCache",
    "RaggedBatch",
    "RowByRow",
    "SlotCache",
    "SlotReader",
    "TransformerBlock",
    "attention_weights",
    "causal_mask",
]
