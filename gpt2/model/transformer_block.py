"""One block of GPT-2: attend, then think, each on a normalised copy added back to the stream."""

from __future__ import annotations

from torch import Tensor, nn

from gpt2.config import GPT2Config
from gpt2.model.attention import Attend
from gpt2.model.feedforward import FeedForward
from gpt2.model.kv_cache import Cache
from gpt2.model.layer_norm import LayerNorm
from gpt2.model.multi_head_attention import MultiHeadAttention


class TransformerBlock(nn.Module):
    """(B, T, C) to the same shape. Normalises first (Radford et al. 2019, section 2.3)."""

    def __init__(self, config: GPT2Config) -> None:
        super().__init__()
        width = config.embedding_dimension
        self.ln_1 = LayerNorm(width, config.layer_norm_epsilon)
        self.attn = MultiHeadAttention(
            config.num_heads, config.hidden_dimension, config.dropout_rate
        )
        self.ln_2 = LayerNorm(width, config.layer_norm_epsilon)
        self.mlp = FeedForward(width, config.hidden_dimension_factor, config.dropout_rate)

    def forward(self, x: Tensor, cache: Cache, attend: Attend, layer: int) -> Tensor:
        x = x + self.attn(self.ln_1(x), cache, attend, layer)
        y: Tensor = x + self.mlp(self.ln_2(x))
        return y
