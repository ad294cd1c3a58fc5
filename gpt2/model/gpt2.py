"""GPT2Model: token ids (B, T) to logits (B, T, V). Radford et al. (2019).

Attribute names (wte, wpe, h, ln_f, ...) are those of the public checkpoint.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Literal

import torch
from torch import Tensor, nn

from gpt2.config import GPT2Config
from gpt2.model.attention import Attend, FusedAttention
from gpt2.model.kv_cache import NO_CACHE, Cache, KVCache
from gpt2.model.layer_norm import LayerNorm
from gpt2.model.positional_embedding import LearnedPositions, SinusoidalPositions
from gpt2.model.token_embedding import TokenEmbedding
from gpt2.model.transformer_block import TransformerBlock
from gpt2.sampling import SamplingOptions, choose


class GPT2Model(nn.Module):
    """The arguments are `GPT2Config`'s, by the same names."""

    def __init__(
        self,
        vocab_size: int = 50257,
        embedding_dimension: int = 768,
        num_heads: int = 12,
        hidden_dimension: int = 64,
        num_blocks: int = 12,
        max_seq_len: int = 1024,
        hidden_dimension_factor: int = 4,
        dropout_rate: float = 0.1,
        positions: Literal["learned", "sinusoidal"] = "learned",
        layer_norm_epsilon: float = 1e-5,
    ) -> None:
        super().__init__()
        self.config = GPT2Config(
            vocab_size,
            embedding_dimension,
            num_heads,
            hidden_dimension,
            num_blocks,
            max_seq_len,
            hidden_dimension_factor,
            dropout_rate,
            positions,
            layer_norm_epsilon,
        )
        place = LearnedPositions if positions == "learned" else SinusoidalPositions
        self.wte = TokenEmbedding(vocab_size, embedding_dimension)
        self.wpe = place(max_seq_len, embedding_dimension)
        self.dropout = nn.Dropout(dropout_rate)
        self.h = nn.ModuleList(TransformerBlock(self.config) for _ in range(num_blocks))
        self.ln_f = LayerNorm(embedding_dimension, layer_norm_epsilon)
        self._initialise()

    @classmethod
    def from_config(cls, config: GPT2Config) -> GPT2Model:
        """A model of this shape with random weights."""
        return cls(**dataclasses.asdict(config))

    def forward(
        self,
        input_ids: Tensor,
        cache: Cache = NO_CACHE,
        attend: Attend | None = None,
    ) -> Tensor:
        """Logits (B, T, V) of the token after each of `input_ids` (B, T).

        Raises ValueError when cached and fed tokens together exceed the context.
        """
        return self.wte.logits(self.hidden(input_ids, cache, attend))

    def hidden(
        self,
        input_ids: Tensor,
        cache: Cache = NO_CACHE,
        attend: Attend | None = None,
    ) -> Tensor:
        """The stream before the head, normalised: (B, T, C).

        A caller that needs one row of logits asks for that row alone: the head is V wide.
        """
        fed = input_ids.size(1)
        if cache.length + fed > self.config.max_seq_len:
            raise ValueError(
                f"{cache.length + fed} tokens do not fit a context of {self.config.max_seq_len}"
            )
        if attend is None:
            attend = FusedAttention(self.config.dropout_rate if self.training else 0.0)
        x = self.dropout(self.wte(input_ids) + self.wpe(cache.places(fed)))  # (B, T, C)
        for layer, block in enumerate(self.h):
            x = block(x, cache, attend, layer)
        cache.advance(fed)
        y: Tensor = self.ln_f(x)
        return y

    @torch.no_grad()
    def generate(
        self, input_ids: Tensor, max_new_tokens: int, temperature: float = 1.0, seed: int = 0
    ) -> Tensor:
        """`input_ids` (B, T) with `max_new_tokens` sampled after them: (B, T + max_new_tokens).

        Row b draws with seed + b. Streaming, stopping and watching are in `gpt2.generation`.
        Raises ValueError when the result would not fit the context.
        """
        batch, length = input_ids.shape
        total = length + max_new_tokens
        if total > self.config.max_seq_len:
            raise ValueError(f"{total} tokens do not fit a context of {self.config.max_seq_len}")
        weight = self.ln_f.weight
        cache = KVCache(self.config, total, batch, dtype=weight.dtype, device=weight.device)
        ids = input_ids
        was_training = self.training
        self.eval()
        try:
            for position in range(length, total):
                last = self.hidden(ids[:, cache.length :], cache)[:, -1]  # (B, C)
                new = [
                    choose(row, SamplingOptions(temperature=temperature, seed=seed + b), position)
                    for b, row in enumerate(self.wte.logits(last))
                ]
                ids = torch.cat((ids, ids.new_tensor(new)[:, None]), dim=1)
        finally:
            self.train(was_training)
        return ids

    @torch.no_grad()
    def _initialise(self) -> None:
        """Normal 0.02, biases 0, and the layers that add to the stream scaled by 1 / sqrt(2 L).

        Radford et al. (2019), section 2.3. A model on the meta device is left as it is: nothing is
        there to fill, and `normal_` would import torch's compiler for it, over a second's work.
        """
        if self.wte.weight.is_meta:
            return
        for name, parameter in self.named_parameters():
            if name.endswith("bias"):
                parameter.zero_()
            elif name.endswith("c_proj.weight"):
                parameter.normal_(std=0.02 / math.sqrt(2 * self.config.num_blocks))
            elif "ln_" not in name:
                parameter.normal_(std=0.02)
