"""Random checkpoints in the hub's layout; our model and transformers' made from the same one."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
import transformers
from torch import Tensor

from gpt2.config import GPT2Config
from gpt2.model import GPT2Model, attention_weights, causal_attention

# transformers stores these as Conv1D: (in, out), the transpose of nn.Linear.
CONV1D = ("c_attn.weight", "c_proj.weight", "c_fc.weight")
MASK = ".attn.bias"


def random_checkpoint(config: GPT2Config, seed: int = 0) -> dict[str, Tensor]:
    """The tensors of a hub file, masks included, with nothing left at a value that hides an error.

    Biases are not 0 and gains not 1, so leaving one out shows; scores are wide enough that no head
    looks everywhere alike.
    """
    random = torch.Generator().manual_seed(seed)
    width, wide = config.embedding_dimension, config.hidden_dimension_factor
    checkpoint: dict[str, Tensor] = {}

    def add(name: str, *shape: int, mean: float = 0, std: float = 0.2) -> None:
        checkpoint[name] = torch.empty(shape).normal_(mean, std, generator=random)

    def add_matrix(name: str, inputs: int, outputs: int, gain: float = 1) -> None:
        add(f"{name}.weight", inputs, outputs, std=gain / math.sqrt(inputs))
        add(f"{name}.bias", outputs)

    def add_norm(name: str) -> None:
        add(f"{name}.weight", width, mean=1)
        add(f"{name}.bias", width)

    add("wte.weight", config.vocab_size, width, std=2 / math.sqrt(width))
    add("wpe.weight", config.max_seq_len, width, std=2 / math.sqrt(width))
    mask = torch.ones(config.max_seq_len, config.max_seq_len).tril()[None, None]
    for layer in range(config.num_blocks):
        block = f"h.{layer}"
        add_norm(f"{block}.ln_1")
        checkpoint[f"{block}{MASK}"] = mask
        add_matrix(f"{block}.attn.c_attn", width, 3 * width, gain=1.6)
        add_matrix(f"{block}.attn.c_proj", width, width)
        add_norm(f"{block}.ln_2")
        add_matrix(f"{block}.mlp.c_fc", width, wide * width)
        add_matrix(f"{block}.mlp.c_proj", wide * width, width)
    add_norm("ln_f")
    return checkpoint


def ours(config: GPT2Config, checkpoint: dict[str, Tensor]) -> GPT2Model:
    """Our model in evaluation mode, on the checkpoint's own memory: gpt2-xl need not fit twice."""
    with torch.device("meta"):
        model = GPT2Model.from_config(config)
    weights = {n: turned(n, w) for n, w in checkpoint.items() if not n.endswith(MASK)}
    model.load_state_dict(weights, assign=True)
    return model.eval()


def theirs(config: GPT2Config, checkpoint: dict[str, Tensor]) -> transformers.GPT2LMHeadModel:
    """transformers' model in evaluation mode, on the checkpoint's own memory."""
    shape = transformers.GPT2Config(
        vocab_size=config.vocab_size,
        n_positions=config.max_seq_len,
        n_embd=config.embedding_dimension,
        n_layer=config.num_blocks,
        n_head=config.num_heads,
        n_inner=config.hidden_dimension_factor * config.embedding_dimension,
        layer_norm_epsilon=config.layer_norm_epsilon,
        bos_token_id=None,
        eos_token_id=None,
        attn_implementation="eager",
    )
    with torch.device("meta"):
        model = transformers.GPT2LMHeadModel(shape)
    weights = {n: w for n, w in checkpoint.items() if not n.endswith(MASK)}
    model.transformer.load_state_dict(weights, assign=True)
    model.lm_head.weight = model.transformer.wte.weight
    return model.eval()


def turned(name: str, weight: Tensor) -> Tensor:
    """Conv1D's (in, out) as nn.Linear's (out, in), or the other way; others as they are."""
    return weight.t() if name.endswith(CONV1D) else weight


def random_ids(config: GPT2Config, batch: int, length: int, seed: int = 0) -> Tensor:
    random = torch.Generator().manual_seed(seed)
    return torch.randint(config.vocab_size, (batch, length), generator=random)


def logits_and_maps(model: GPT2Model, ids: Tensor) -> tuple[Tensor, list[Tensor]]:
    """Our logits (B, T, V) and the attention (B, H, T, T) of every layer."""
    maps: list[Tensor] = []

    def attend(q: Tensor, k: Tensor, v: Tensor, layer: int) -> Tensor:
        maps.append(attention_weights(q, k))
        return causal_attention(q, k, v)

    with torch.no_grad():
        return model(ids, attend=attend), maps


def loss_of(model: GPT2Model, ids: Tensor) -> Tensor:
    """Mean nats per predicted token."""
    return F.cross_entropy(model(ids)[:, :-1].flatten(0, 1), ids[:, 1:].flatten())
