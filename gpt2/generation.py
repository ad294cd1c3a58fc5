"""The decode loop: ids in, one `Step` per forward pass out. It knows no text."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from gpt2.model import Attend, AttentionRecorder, GPT2Model, KVCache
from gpt2.sampling import SamplingOptions, choose

# A long prompt is read in pieces, so that Stop is noticed between them.
PREFILL_CHUNK = 128


@dataclass(frozen=True, slots=True)
class Step:
    """One forward pass over `fed` tokens.

    `token` is the new token, or None while the prompt is not read to its end. `attention` holds
    (H, fed, S) for each watched layer: row i is what token i looked at while predicting token
    i + 1, so the newest token of all has no row yet. Where a draft guessed this token, `guess` is
    what it guessed, right or wrong; `speed_up` is what drafting has brought so far. `values`
    (H, fed, D) is what the fed tokens offer to be read there.
    """

    token: int | None
    fed: int
    attention: Mapping[int, Tensor]
    guess: int | None = None
    speed_up: float | None = None
    values: Mapping[int, Tensor] = field(default_factory=dict)


def check_room(ids: Sequence[int], new_tokens: int, context: int) -> None:
    """Raises ValueError unless there is a prompt, and prompt and new tokens fit the context."""
    if not ids:
        raise ValueError("There is no token to start from.")
    if new_tokens < 0:
        raise ValueError(f"New tokens must be 0 or more, not {new_tokens}.")
    if len(ids) + new_tokens > context:
        raise ValueError(
            f"{len(ids)} tokens and {new_tokens} new ones are more than the {context} "
            "this model can read."
        )


def generate(
    model: GPT2Model,
    ids: Sequence[int],
    new_tokens: int,
    options: SamplingOptions,
    watched: Callable[[], Collection[int]] = tuple,
    stopped: Callable[[], bool] = lambda: False,
) -> Iterator[Step]:
    """Read `ids`, then choose `new_tokens` tokens, yielding after every forward pass.

    `watched()`, the layers whose attention to keep, and `stopped()` are asked before every pass.
    Raises ValueError (`check_room`) before the first pass.
    """
    check_room(ids, new_tokens, model.config.max_seq_len)
    return _passes(model, list(ids), new_tokens, options, watched, stopped)


@torch.inference_mode()
def _passes(
    model: GPT2Model,
    ids: list[int],
    new_tokens: int,
    options: SamplingOptions,
    watched: Callable[[], Collection[int]],
    stopped: Callable[[], bool],
) -> Iterator[Step]:
    weight = model.ln_f.weight
    end = len(ids) + new_tokens
    # The last token chosen is never fed.
    cache = KVCache(model.config, max(len(ids), end - 1), 1, weight.dtype, weight.device)
    prompt = len(ids)
    while (cache.length < prompt or len(ids) < end) and not stopped():
        seen: dict[int, Tensor] = {}
        values: dict[int, Tensor] = {}
        fed = ids[cache.length : cache.length + PREFILL_CHUNK]
        recorder = record(seen, watched(), values)
        hidden = model.hidden(torch.tensor([fed], device=weight.device), cache, recorder)
        token = None
        if cache.length == len(ids) < end:
            token = choose(model.wte.logits(hidden[:, -1])[0], options, position=len(ids))
            ids.append(token)
        yield Step(token, len(fed), seen, values=values)


def record(
    seen: dict[int, Tensor],
    layers: Collection[int],
    values: dict[int, Tensor],
    attend: Attend | None = None,
) -> AttentionRecorder:
    """Attends, and keeps the weights (H, T, S) of `layers` in `seen`, the values in `values`."""

    def keep(layer: int, weights: Tensor) -> None:
        seen[layer] = weights[0]  # the batch is one text

    def keep_values(layer: int, v: Tensor) -> None:
        values[layer] = v[0].clone()  # the cache it lies in goes on to others

    return AttentionRecorder(lambda layer: layer in layers, keep, keep_values, attend)
