"""How long the vector is that a head adds to the stream when it reads one token and nothing else.

Kobayashi et al. (2020), "Attention is Not Only a Weight" (arXiv 2004.10102), without the bias.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch

from gpt2.apart import apart
from gpt2.model.gpt2 import GPT2Model
from gpt2.model.multi_head_attention import MultiHeadAttention

Floats = npt.NDArray[np.float32]


class ValueNorms:
    """Of one model. What it needs beside the values is made when somebody first looks.

    In numpy: PyTorch would start threads for the thread that asks (`gpt2.apart`).
    """

    def __init__(self, model: GPT2Model) -> None:
        self._model = model

    def __call__(self, layers: Sequence[int], v: Floats) -> Floats:
        """Norms (L, H, T) of the values v (L, H, T, D) of these layers."""
        # Picking layers copies megabytes, and usually all are watched.
        grams = self._grams
        if list(layers) != list(range(len(grams))):
            grams = grams[list(layers)]
        squares = ((v @ grams) * v).sum(axis=-1)  # (L, H, T)
        norms: Floats = np.sqrt(squares.clip(0))
        return norms

    @cached_property
    @apart
    @torch.inference_mode()
    def _grams(self) -> Floats:
        """(L, H, D, D)."""
        layers = [m for m in self._model.modules() if isinstance(m, MultiHeadAttention)]
        return np.stack([layer.output_gram().cpu().numpy() for layer in layers])
