"""How the hub stores a GPT-2: the names, the shapes, and which weights lie transposed.

Nothing else in the project knows that OpenAI's layers were 1x1 convolutions.
"""

from __future__ import annotations

import re

from torch import Tensor

from gpt2.config import GPT2Config

_PREFIX = "transformer."  # distilgpt2 and most fine-tuned models have it, OpenAI's files do not
_CONV1D = ("attn.c_attn.weight", "attn.c_proj.weight", "mlp.c_fc.weight", "mlp.c_proj.weight")
_QUERIES = re.compile(r"h\.(\d+)\.attn\.c_attn\.(?:weight|bias)")
_MASK = re.compile(r"h\.\d+\.attn\.(bias|masked_bias)")  # not `attn.c_attn.bias`

EMBEDDING = "wte.weight"
HEAD = "lm_head.weight"  # a copy of the token embedding, where a file has it at all


def model_name(file_name: str) -> str | None:
    """The model's name for a tensor of the file; None for the masks, which are no weights."""
    name = file_name.removeprefix(_PREFIX)
    return None if _MASK.fullmatch(name) else name


def is_transposed(name: str) -> bool:
    """Whether the file has (in, out) where nn.Linear has (out, in)."""
    return name.endswith(_CONV1D)


def scale_queries(name: str, tensor: Tensor) -> None:
    """Divide the queries of layer n, from 0, by n + 1, in place, and nothing else.

    What `scale_attn_by_inverse_layer_idx` divides scores by: scores are products with the queries,
    so the model's own arithmetic, and every other one, stays as it is.
    """
    match = _QUERIES.fullmatch(name)
    if match:
        tensor[: tensor.size(0) // 3] /= int(match[1]) + 1


def file_shapes(config: GPT2Config) -> dict[str, tuple[int, ...]]:
    """Every weight by the model's name, with its shape as the file has it."""
    width = config.embedding_dimension
    wide = width * config.hidden_dimension_factor
    shapes: dict[str, tuple[int, ...]] = {EMBEDDING: (config.vocab_size, width)}
    if config.positions == "learned":
        shapes["wpe.weight"] = (config.max_seq_len, width)
    for block in range(config.num_blocks):
        for name, shape in {
            "ln_1": (width,),
            "attn.c_attn": (width, 3 * width),
            "attn.c_proj": (width, width),
            "ln_2": (width,),
            "mlp.c_fc": (width, wide),
            "mlp.c_proj": (wide, width),
        }.items():
            shapes[f"h.{block}.{name}.weight"] = shape
            shapes[f"h.{block}.{name}.bias"] = shape[-1:]
    return shapes | {"ln_f.weight": (width,), "ln_f.bias": (width,)}
