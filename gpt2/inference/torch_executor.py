"""TorchExecutor: the readable model behind `Executor`. The reference, the GPU, and the fallback.

A matrix kernel may sum in another order for one row than for eight: not wrong, but another last
bit, and once in a while another token. So rows are never computed in a shape that depends on who
else is there: a piece of a prompt is a pass of its own, and everything shorter goes a fixed number
of rows at a time, attending row by row.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import cached_property
from itertools import groupby

import numpy as np
import torch
from torch import Tensor, nn

from gpt2.config import GPT2Config
from gpt2.inference.draft_length import MOST_DRAFTED
from gpt2.inference.executor import NOTHING, Floats, Ints, Pass, Watch
from gpt2.inference.layer_stack import LayerStack
from gpt2.model import GPT2Model, attention_weights, causal_attention
from gpt2.model.attention import MultiHeadAttention
from gpt2.model.block import LayerNorm
from gpt2.runtime.fresh_thread import run_in_fresh_thread

_GPU_ROWS = 8  # at a time: a GPU takes as long for one row as for eight, a CPU twice as long


class TorchExecutor:
    """`model` on the device and in the floats it has, with keys and values of `slots` texts."""

    def __init__(self, model: GPT2Model, slots: int = 8) -> None:
        self.config: GPT2Config = model.config
        self.slots = slots
        self._model = model
        weight = model.ln_f.weight
        linears = [m for m in model.modules() if isinstance(m, nn.Linear)]
        self.precision = str(linears[0].weight.dtype).removeprefix("torch.")
        self._device, self._dtype = weight.device, weight.dtype
        self._rows = _GPU_ROWS if weight.is_cuda else 1
        self._cache: tuple[list[Tensor], list[Tensor]] | None = None

    @torch.inference_mode()
    def run(
        self, ids: Ints, positions: Ints, slots: Ints, wanted: Ints, watch: Watch = NOTHING
    ) -> Pass:
        """`Executor.run`."""
        seen = _Seen(self.config, positions, slots, watch, self._device)
        logits = np.empty((len(wanted), self.config.vocab_size), np.float32)
        for part in self._parts(slots):
            rows = [*part, *[part[0]] * (self._rows - len(part))]  # nobody reads what is added
            attend = _Attend(self._keys_and_values(), positions, slots, part, seen)
            embedded = [_embedded_position(watch, int(slots[i]), int(positions[i])) for i in rows]
            with self._recording(seen, part):
                hidden = self._model.hidden(
                    torch.from_numpy(ids[rows])[None].to(self._device),
                    torch.tensor(embedded, device=self._device),
                    attend,
                )[0]
            place = {i: at for at, i in enumerate(part)}
            asked = [k for k, i in enumerate(wanted.tolist()) if i in place]
            if asked:
                places = [place[i] for i in wanted[asked].tolist()]
                if _is_piece(part):  # the head is V wide: only what is asked for
                    found = self._model.wte.logits(hidden[places])
                else:  # all, so that the shape does not depend on who asks
                    found = self._model.wte.logits(hidden)[places]
                logits[asked] = found.float().cpu().numpy()
        return Pass(logits, *seen.in_numpy())

    @cached_property
    @run_in_fresh_thread  # whoever asks is not the thread that makes the passes
    @torch.inference_mode()
    def value_grams(self) -> Floats:
        """(L, H, D, D): `Executor.value_grams`."""
        layers = [m for m in self._model.modules() if isinstance(m, MultiHeadAttention)]
        weights = torch.stack([layer.c_proj.weight for layer in layers]).float()  # (L, C, C)
        parts = weights.view(*weights.shape[:2], self.config.num_heads, -1)  # (L, C, H, D)
        grams: Floats = torch.einsum("lchd,lche->lhde", parts, parts).cpu().numpy()
        return grams

    def forget(self) -> None:
        """`Executor.forget`."""
        self._cache = None

    def close(self) -> None:
        """`Executor.close`."""
        self._cache = None

    def _parts(self, slots: Ints) -> Iterator[list[int]]:
        """Rows by index: a piece of a prompt alone, all others `_rows` at a time."""
        few: list[int] = []
        for _, group in groupby(range(len(slots)), key=slots.__getitem__):
            rows = list(group)
            if _is_piece(rows):
                yield rows
            else:
                few += rows
        for at in range(0, len(few), self._rows):
            yield few[at : at + self._rows]

    def _keys_and_values(self) -> tuple[list[Tensor], list[Tensor]]:
        """By layer (slots, H, context, D). Never filled: memory is taken as texts grow into it."""
        if self._cache is None:
            config = self.config
            shape = (self.slots, config.num_heads, config.max_seq_len, config.hidden_dimension)
            keys, values = (
                [
                    torch.empty(shape, dtype=self._dtype, device=self._device)
                    for _ in range(config.num_blocks)
                ]
                for _ in "kv"
            )
            self._cache = keys, values
        return self._cache

    @contextmanager
    def _recording(self, seen: _Seen, part: Sequence[int]) -> Iterator[None]:
        """What the layer norms read, one after the other, is the residual stream of a pass."""
        with ExitStack() as hooks:
            for layer, rows in seen.replaced(part).items():

                def replace(
                    _: object, inputs: tuple[Tensor, ...], rows: dict[int, Tensor] = rows
                ) -> tuple[Tensor, ...]:
                    x = inputs[0].clone()
                    for row, instead in rows.items():
                        x[0, row] = instead.to(x)
                    return x, *inputs[1:]

                block = self._model.h[layer]
                hooks.callback(block.register_forward_pre_hook(replace).remove)
            if seen.residual is not None:
                norms = [m for m in self._model.modules() if isinstance(m, LayerNorm)]
                for number, norm in enumerate(norms):

                    def keep(_: object, inputs: tuple[Tensor], number: int = number) -> None:
                        assert seen.residual is not None
                        seen.residual[part, number] = inputs[0][0, : len(part)].float()

                    hooks.callback(norm.register_forward_pre_hook(keep).remove)
            yield


def halve(model: GPT2Model) -> GPT2Model:
    """`model` with the matrices of its blocks in float16, for GPUs.

    The residual stream, norms, embedding and head stay float32: real GPT-2's logits lie near -100,
    where float16 has steps of 0.06.
    """
    for linear in model.modules():
        if isinstance(linear, nn.Linear):
            linear.half()
            linear.register_forward_pre_hook(lambda _, inputs: (inputs[0].half(),))
            linear.register_forward_hook(lambda _, inputs, output: output.float())
    return model


def _is_piece(part: Sequence[int]) -> bool:
    """Whether these rows are a piece of a prompt: so many of one slot are no guesses."""
    return len(part) > MOST_DRAFTED + 1


def _embedded_position(watch: Watch, slot: int, position: int) -> int:
    return watch.positions.get(slot, {}).get(position, position)


class _Seen:
    """What is watched in a call, filled part by part, on the device until all is there."""

    def __init__(
        self,
        config: GPT2Config,
        positions: Ints,
        slots: Ints,
        watch: Watch,
        device: torch.device,
    ) -> None:
        self.watch = watch
        self._positions, self._slots = positions, slots
        self.heads: Tensor | None = None
        if watch.heads:
            found = (config.num_blocks, config.num_heads, config.hidden_dimension)
            self.heads = torch.empty((len(slots), *found), device=device)
        self.residual: Tensor | None = None
        if watch.residual:
            shape = (len(slots), 2 * config.num_blocks + 1, config.embedding_dimension)
            self.residual = torch.empty(shape, device=device)
        self.layers: dict[int, list[int]] = {}
        self.first: dict[int, int] = {}  # position of a slot's first row
        self.weights: dict[int, Tensor] = {}
        self.values: dict[int, Tensor] = {}
        for slot, wanted in watch.attention.items():
            places = positions[slots == slot]
            if not (len(places) and len(wanted)):
                continue
            self.layers[slot] = list(wanted)
            self.first[slot] = int(places[0])
            rows = (len(wanted), config.num_heads, len(places))
            self.weights[slot] = torch.zeros((*rows, int(places[-1]) + 1), device=device)
            self.values[slot] = torch.empty((*rows, config.hidden_dimension), device=device)

    def replaced(self, part: Sequence[int]) -> dict[int, dict[int, Tensor]]:
        """By layer and row of `part`, the stream (C,) that enters there instead."""
        found: dict[int, dict[int, Tensor]] = {}
        for row, i in enumerate(part):
            for (layer, position), instead in self.watch.stream.get(
                int(self._slots[i]), {}
            ).items():
                if position == self._positions[i]:
                    found.setdefault(layer, {})[row] = torch.from_numpy(np.array(instead))
        return found

    def keep(self, slot: int, layer: int, q: Tensor, keys: Tensor, values: Tensor) -> None:
        """Rows q (H, n, D) that attend to keys and values (H, S, D)."""
        if layer not in self.layers.get(slot, ()):
            return
        number, fed, end = self.layers[slot].index(layer), q.size(1), keys.size(1)
        rows = slice(end - fed - self.first[slot], end - self.first[slot])
        self.weights[slot][number, :, rows, :end] = attention_weights(q, keys).float()
        self.values[slot][number, :, rows] = values[:, end - fed :].float()

    def in_numpy(
        self,
    ) -> tuple[dict[int, LayerStack], dict[int, LayerStack], Floats | None, Floats | None]:
        """Weights and values by slot and layer, the residual stream, and what heads found."""
        weights, values = (
            {slot: LayerStack(self.layers[slot], t.cpu().numpy()) for slot, t in each.items()}
            for each in (self.weights, self.values)
        )
        residual, heads = (
            None if each is None else each.cpu().numpy() for each in (self.residual, self.heads)
        )
        return weights, values, residual, heads


class _Attend:
    """How the rows of one part attend: stored first, then each over its own slot."""

    def __init__(
        self,
        cache: tuple[list[Tensor], list[Tensor]],
        positions: Ints,
        slots: Ints,
        part: Sequence[int],
        seen: _Seen,
    ) -> None:
        self._cache = cache
        self._seen = seen
        device = cache[0][0].device
        self._part = list(part)
        self._places = positions[part]
        self._count = len(part)
        self._slots = torch.from_numpy(slots[part]).to(device)
        self._positions = torch.from_numpy(positions[part]).to(device)
        # (slot, rows, tokens they see): a piece as a whole, or every row by itself.
        step = len(part) if _is_piece(part) else 1
        self._groups = [
            (int(slots[part[at]]), slice(at, at + step), int(positions[part[at + step - 1]]) + 1)
            for at in range(0, len(part), step)
        ]

    def __call__(self, q: Tensor, k: Tensor, v: Tensor, layer: int) -> Tensor:
        for held, new in zip(self._cache, (k, v), strict=True):  # new: (1, H, rows, D)
            held[layer][self._slots, :, self._positions] = new[0, :, : self._count].transpose(0, 1)
        y = torch.zeros_like(q)
        for slot, rows, end in self._groups:
            keys, values = (held[layer][slot, :, :end] for held in self._cache)
            mine = q[0, :, rows]  # (H, n, D)
            y[0, :, rows] = causal_attention(mine[None], keys[None], values[None])[0]
            self._seen.keep(slot, layer, mine, keys, values)
        if self._seen.heads is not None:
            self._seen.heads[self._part, layer] = y[0, :, : self._count].transpose(0, 1).float()
        for slot, heads in self._seen.watch.heads_off.items():
            for (at, head), output in heads.items():
                for own, rows, _ in self._groups if at == layer else ():
                    if own == slot:
                        y[0, head, rows] = self._instead(output, rows).to(y)
        return y

    def _instead(self, output: Floats | None, rows: slice) -> Tensor:
        """What takes the place of a head's output in these rows: (D,) or (rows, D)."""
        if output is None:
            return torch.zeros(())
        return torch.from_numpy(output if output.ndim == 1 else output[self._places[rows]])
