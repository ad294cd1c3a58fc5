"""The decode loop: ids in, one `Step` per forward pass out. It knows no text."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from gpt2.config import GPT2Config
from gpt2.model import Attend, AttentionRecorder, GPT2Model, KVCache
from gpt2.sampling import SamplingOptions, choose

# Of a piece of a prompt, weights times tokens: a fifth of a second to a second of two cores.
PIECE_WORK = 2**36
_LEAST_PIECE, _MOST_PIECE, _STEP = 128, 512, 64


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
    piece = piece_length(model.config)
    while (cache.length < prompt or len(ids) < end) and not stopped():
        seen: dict[int, Tensor] = {}
        values: dict[int, Tensor] = {}
        fed = ids[cache.length : cache.length + piece]
        recorder = record(seen, watched(), values)
        hidden = model.hidden(torch.tensor([fed], device=weight.device), cache, recorder)
        token = None
        if cache.length == len(ids) < end:
            token = choose(model.wte.logits(hidden[:, -1])[0], options, position=len(ids))
            ids.append(token)
        yield Step(token, len(fed), seen, values=values)


def piece_length(config: GPT2Config) -> int:
    """How many tokens of a prompt are read at once; in between Stop is noticed and others write.

    Long pieces take less time in all, but of a large model each would take seconds. This depends on
    nothing but the model: cut in other places, a prompt is summed in another order.
    """
    affordable = PIECE_WORK // config.num_parameters // _STEP * _STEP
    return max(_LEAST_PIECE, min(affordable, _MOST_PIECE))


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
