"""GPT2Model: token ids (B, T) to logits (B, T, V). Radford et al. (2019).

Attribute names (wte, wpe, h, ln_f, ...) are those of the public checkpoint.
"""

from __future__ import annotations

import dataclasses
import math
from functools import partial
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gpt2.config import GPT2Config
from gpt2.model.attention import Attend, KVCache, causal_attention
from gpt2.model.block import LayerNorm, TransformerBlock
from gpt2.sampling import SamplingOptions, choose


class TokenEmbedding(nn.Module):
    """One matrix reads and writes tokens: row i of `weight` (V, C) is token i (Press and Wolf 2017,
    tied weights)."""

    def __init__(self, vocab_size: int, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(vocab_size, width))

    def forward(self, input_ids: Tensor) -> Tensor:
        """Ids (B, T) to embeddings (B, T, C)."""
        return F.embedding(input_ids, self.weight)

    def logits(self, x: Tensor) -> Tensor:
        """How well x (..., C) matches every token: (..., V)."""
        return F.linear(x, self.weight)


def sinusoidal_table(length: int, width: int) -> Tensor:
    """Vaswani et al. (2017), section 3.5: [p, 2i] = sin(p / 10000^(2i / width)), [p, 2i + 1] the
    cosine. (length, C)"""
    position = torch.arange(length, dtype=torch.float32)[:, None]
    channel = torch.arange(0, width, 2, dtype=torch.float32)
    angle = position * torch.exp(channel * (-math.log(10000.0) / width))
    waves = torch.stack((angle.sin(), angle.cos()), dim=-1)  # (length, ceil(C / 2), 2)
    return waves.flatten(1)[:, :width]


class PositionalEmbedding(nn.Module):
    """A vector for each of `max_seq_len` positions: GPT-2's learned ones, or fixed waves.

    The waves are the same for every model, so they are no part of a checkpoint.
    """

    weight: Tensor

    def __init__(self, config: GPT2Config) -> None:
        super().__init__()
        length, width = config.max_seq_len, config.embedding_dimension
        if config.positions == "learned":
            self.weight = nn.Parameter(torch.empty(length, width))
        else:
            self.register_buffer("weight", sinusoidal_table(length, width), persistent=False)

    def forward(self, positions: Tensor) -> Tensor:
        """Positions (T,) to vectors (T, C)."""
        return F.embedding(positions, self.weight)


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
        self.wte = TokenEmbedding(vocab_size, embedding_dimension)
        self.wpe = PositionalEmbedding(self.config)
        self.dropout = nn.Dropout(dropout_rate)
        self.h = nn.ModuleList(TransformerBlock(self.config) for _ in range(num_blocks))
        self.ln_f = LayerNorm(embedding_dimension, layer_norm_epsilon)
        self._initialise()

    @classmethod
    def from_config(cls, config: GPT2Config) -> GPT2Model:
        """A model of this shape with random weights."""
        return cls(**dataclasses.asdict(config))

    def forward(
        self, input_ids: Tensor, positions: Tensor | None = None, attend: Attend | None = None
    ) -> Tensor:
        """Logits (B, T, V) of the token after each of `input_ids` (B, T).

        Without `positions` (T,) the tokens stand at 0 to T - 1. Raises ValueError for more tokens
        than the context holds.
        """
        return self.wte.logits(self.hidden(input_ids, positions, attend))

    def hidden(
        self, input_ids: Tensor, positions: Tensor | None = None, attend: Attend | None = None
    ) -> Tensor:
        """The residual stream before the head, normalised: (B, T, C).

        A caller that needs one row of logits asks for that row alone: the head is V wide.
        """
        fed = input_ids.size(1)
        if fed > self.config.max_seq_len:
            raise ValueError(f"{fed} tokens do not fit a context of {self.config.max_seq_len}")
        if positions is None:
            positions = torch.arange(fed, device=input_ids.device)
        if attend is None:
            rate = self.config.dropout_rate if self.training else 0.0
            attend = partial(causal_attention, dropout_rate=rate)
        x = self.dropout(self.wte(input_ids) + self.wpe(positions))  # (B, T, C)
        for layer, block in enumerate(self.h):
            x = block(x, attend, layer)
        y: Tensor = self.ln_f(x)
        return y

    @torch.no_grad()
    def generate(
        self, input_ids: Tensor, max_new_tokens: int, temperature: float = 1.0, seed: int = 0
    ) -> Tensor:
        """`input_ids` (B, T) with `max_new_tokens` sampled after them: (B, T + max_new_tokens).

        Row b draws with seed + b. Streaming, stopping and watching are in `gpt2.inference`.
        Raises ValueError when the result would not fit the context.
        """
        batch, length = input_ids.shape
        total = length + max_new_tokens
        if total > self.config.max_seq_len:
            raise ValueError(f"{total} tokens do not fit a context of {self.config.max_seq_len}")
        weight = self.ln_f.weight
        cache = KVCache(self.config, total, batch, dtype=weight.dtype, device=weight.device)
        options = [SamplingOptions(temperature=temperature, seed=seed + b) for b in range(batch)]
        ids = input_ids
        was_training = self.training
        self.eval()
        try:
            for position in range(length, total):
                fed = ids[:, cache.length :]
                last = self.hidden(fed, cache.positions(fed.size(1)), cache)[:, -1]  # (B, C)
                logits = self.wte.logits(last).float().cpu().numpy()
                new = [choose(logits[b], options[b], position) for b in range(batch)]
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
