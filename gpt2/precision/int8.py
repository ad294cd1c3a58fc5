"""int8: quantise a checkpoint block by block, once, and keep the result beside it.

A few random tokens run through each float32 block on the way, to see which input channels are so
much larger than the rest that eight bits would ruin them. The whole float32 model is never in
memory.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

from gpt2.checkpoint import empty_model, open_weights, read_config, read_converted, write_converted
from gpt2.config import GPT2Config
from gpt2.model import NO_CACHE, FusedAttention, GPT2Model
from gpt2.precision.modules import State, linears, set_module, state_of
from gpt2.quantization import Int8Linear, Int8TokenEmbedding, Int8Weights, quantize

VERSION = 5  # of the file; another number makes every kept copy stale
_KIND = "int8"
_TABLE = "wte.values"
_PROBE = 64  # random tokens
# The tanh form of GELU, which feeds the second linear of a feed-forward, is never below this.
_LEAST_GELU = -0.17005


def load_int8(folder: Path) -> GPT2Model:
    """The model in `folder` with int8 weights, from the kept copy where there is one.

    Raises CheckpointError.
    """
    tensors = read_converted(folder, _KIND, VERSION)
    if tensors is None:
        with open_weights(folder) as weights:
            tensors = int8_tensors(weights.config, weights.state)
        write_converted(folder, _KIND, VERSION, tensors)
        tensors = read_converted(folder, _KIND, VERSION) or tensors  # mapped rather than held
    # What is packed is copied anyway. A single tensor kept would keep all that was read in memory.
    held = {n: t if n.endswith(".values") else t.clone() for n, t in tensors.items()}
    model = assemble(read_config(folder), held)
    embedding = model.get_submodule("wte")
    assert isinstance(embedding, Int8TokenEmbedding)
    embedding.weights = replace(embedding.weights, values=_table(folder, tensors))
    return model


def _table(folder: Path, tensors: dict[str, Tensor]) -> Tensor:
    """The embedding's rows, left in the kept copy: only those that are looked up take memory."""
    fresh = read_converted(folder, _KIND, VERSION)
    return fresh[_TABLE] if fresh else tensors[_TABLE].clone()


def int8_model(model: GPT2Model) -> GPT2Model:
    """A twin of a float32 model in memory."""
    return assemble(model.config, int8_tensors(model.config, state_of(model)))


@torch.no_grad()
def int8_tensors(config: GPT2Config, state: State) -> dict[str, Tensor]:
    """Everything `assemble` needs, by name, from the float32 weights that `state` reads."""
    model = empty_model(config).eval()
    for name in ("wte", "wpe"):
        model.get_submodule(name).load_state_dict(state(f"{name}."), assign=True)
    random = torch.Generator().manual_seed(0)
    ids = torch.randint(config.vocab_size, (1, min(_PROBE, config.max_seq_len)), generator=random)
    x = model.wte(ids) + model.wpe(slice(0, ids.size(1)))  # (1, T, C)
    model.wte.to("meta")  # read again at the end: with everything else it would be the peak
    kept: dict[str, Tensor] = {f"wpe.{n}": t for n, t in model.wpe.state_dict().items()}
    for layer, block in enumerate(model.h):
        block.load_state_dict(state(f"h.{layer}."), assign=True)
        inputs = _watch_inputs(block)
        x = block(x, NO_CACHE, FusedAttention(), layer)
        for name, tensor in _int8_block(block, inputs).items():
            kept[f"h.{layer}.{name}"] = tensor
        block.to("meta")  # lets its float32 weights go
        inputs.clear()  # which the block still fills
    model.ln_f.load_state_dict(state("ln_f."), assign=True)
    kept |= {f"ln_f.{n}": t for n, t in model.ln_f.state_dict().items()}
    head = quantize(state("wte.")["weight"], model.ln_f(x)[0], centred=True)
    return kept | {f"wte.{n}": t for n, t in head.tensors().items()}


def assemble(config: GPT2Config, tensors: dict[str, Tensor]) -> GPT2Model:
    """The model whose matrices are int8, from `int8_tensors`."""

    def weights(name: str) -> Int8Weights:
        prefix = f"{name}.int8." if name != "wte" else "wte."
        return Int8Weights(
            **{n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}
        )

    model = empty_model(config)
    set_module(model, "wte", Int8TokenEmbedding(weights("wte")))

    def twin(name: str) -> Int8Linear:
        least = _LEAST_GELU if name.endswith("mlp.c_proj") else None
        return Int8Linear(weights(name), tensors[f"{name}.bias"], least)

    names = list(linears(model))
    with ThreadPoolExecutor(torch.get_num_threads()) as threads:  # torch packs on one CPU
        for name, module in zip(names, threads.map(twin, names), strict=True):
            set_module(model, name, module)
    plain = {name: tensors[name] for name in model.state_dict()}
    model.load_state_dict(plain, strict=True, assign=True)
    return model.eval().requires_grad_(False)


def _int8_block(block: nn.Module, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
    kept = dict(block.state_dict())
    for name, linear in linears(block).items():
        del kept[f"{name}.weight"]
        int8 = quantize(linear.weight, inputs[name])
        kept |= {f"{name}.int8.{n}": t for n, t in int8.tensors().items()}
    return kept


def _watch_inputs(block: nn.Module) -> dict[str, Tensor]:
    """Filled with what each linear reads (T, in), when the block runs on one text."""
    read: dict[str, Tensor] = {}

    def watch(name: str) -> Callable[[nn.Module, tuple[Tensor]], None]:
        def keep(_: nn.Module, inputs: tuple[Tensor]) -> None:
            read[name] = inputs[0][0]

        return keep

    for name, linear in linears(block).items():
        linear.register_forward_pre_hook(watch(name))
    return read
