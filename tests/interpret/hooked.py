"""The independent reference: transformers' GPT-2, watched and changed with PyTorch's own hooks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch
import transformers
from safetensors.torch import load_file
from torch import Tensor

from gpt2 import SIZES, Engine, GPT2Config, Tokenizer
from gpt2.runtime.assets_folder import ASSETS
from tests.reference import ours, random_checkpoint, theirs

# The built-in sizes, and random full shapes: heads of an odd width, and the usual 64.
NAMES = ("tiny", "mini", "odd", "wide")
SHAPES = {
    "odd": GPT2Config(400, 33, 3, 11, 3, 60, 4),
    "wide": GPT2Config(500, 256, 4, 64, 2, 60, 4),
}
Head = tuple[int, int]


@dataclass(frozen=True)
class Pair:
    """The same weights twice: ours, and theirs."""

    engine: Engine
    reference: transformers.GPT2LMHeadModel

    @property
    def config(self) -> GPT2Config:
        return self.engine.config

    def ids(self, length: int = 14, seed: int = 0) -> list[int]:
        """A random text with a token that comes back."""
        random = np.random.default_rng(seed)
        ids = random.integers(0, self.config.vocab_size - 1, length).tolist()
        return [*ids[: length - 2], ids[1], ids[2]]

    @torch.no_grad()
    def logits(self, ids: Sequence[int]) -> np.ndarray:
        """(T, V) of the reference, hooked or not."""
        return self.reference(torch.tensor([list(ids)])).logits[0].numpy()


@cache
def pair(name: str) -> Pair:
    if name in SHAPES:
        config, checkpoint = SHAPES[name], random_checkpoint(SHAPES[name], seed=5)
    else:
        config = SIZES[name].config
        stored = load_file(ASSETS / name / "model.safetensors")
        checkpoint = {key: tensor.float() for key, tensor in stored.items()}
    engine = Engine.from_model(ours(config, checkpoint), Tokenizer(config.vocab_size))
    return Pair(engine, theirs(config, checkpoint).requires_grad_(False))


@contextmanager
def hooked(*handles: Any) -> Iterator[None]:
    with ExitStack() as stack:
        for handle in handles:
            stack.callback(handle.remove)
        yield


def kept_inputs(modules: Iterable[torch.nn.Module]) -> tuple[list[Tensor], list[Any]]:
    """What goes into each module, in the order of calls; and the hooks."""
    kept: list[Tensor] = []

    def keep(_: object, inputs: tuple[Tensor, ...]) -> None:
        kept.append(inputs[0][0].clone())

    return kept, [module.register_forward_pre_hook(keep) for module in modules]


def heads_of(own: Pair, ids: Sequence[int]) -> np.ndarray:
    """What every head found, (T, L, H, D): the input of each output projection."""
    kept, handles = kept_inputs(block.attn.c_proj for block in own.reference.transformer.h)
    with hooked(*handles):
        own.logits(ids)
    return np.stack(
        [each.reshape(len(ids), own.config.num_heads, -1).numpy() for each in kept], axis=1
    )


def stream_of(own: Pair, ids: Sequence[int]) -> np.ndarray:
    """The residual stream (T, 2 L + 1, C): what goes into each layer norm."""
    blocks = own.reference.transformer.h
    norms = [norm for block in blocks for norm in (block.ln_1, block.ln_2)]
    kept, handles = kept_inputs([*norms, own.reference.transformer.ln_f])
    with hooked(*handles):
        own.logits(ids)
    return np.stack([each.numpy() for each in kept], axis=1)


def without_heads(
    own: Pair,
    ids: Sequence[int],
    heads: Mapping[Head, np.ndarray | None],
    first: int = 0,
) -> np.ndarray:
    """Logits (T, V) with these heads replaced, by (D,) or zeros, from position `first` on."""
    width = own.config.hidden_dimension

    def change(layer: int) -> Callable[..., tuple[Tensor]]:
        def hook(_: object, inputs: tuple[Tensor, ...]) -> tuple[Tensor]:
            found = inputs[0].clone()
            for (at, head), output in heads.items():
                if at == layer:
                    instead = 0.0 if output is None else torch.from_numpy(output)
                    found[:, first:, head * width : (head + 1) * width] = instead
            return (found,)

        return hook

    blocks = own.reference.transformer.h
    with hooked(
        *(
            block.attn.c_proj.register_forward_pre_hook(change(layer))
            for layer, block in enumerate(blocks)
        )
    ):
        return own.logits(ids)


def with_stream(
    own: Pair, ids: Sequence[int], layer: int, position: int, instead: np.ndarray
) -> np.ndarray:
    """Logits (T, V) with the stream that enters `layer` replaced at one position."""

    def change(_: object, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        x = inputs[0].clone()
        x[:, position] = torch.from_numpy(instead)
        return (x, *inputs[1:])

    with hooked(own.reference.transformer.h[layer].register_forward_pre_hook(change)):
        return own.logits(ids)
