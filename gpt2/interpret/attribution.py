"""Direct logit attribution: what each part of the model adds to one token's lead over another.

The logits are the head times ln_f of the residual stream, and the stream is a sum: embeddings, what
every head and MLP wrote, and biases. With ln_f's mean and scale frozen at what they are for the
whole, the map from stream to logits is linear, so part p adds
((p - mean p) / sigma * gain) . (W[token] - W[against]), and the parts, with ln_f's own bias, sum to
the true difference of the two logits (Elhage et al. 2021, "A Mathematical Framework for Transformer
Circuits"; Wang et al. 2022, arXiv 2211.00593, use it for heads).

It is what a part writes *directly*: what later parts make of that is counted as theirs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from gpt2.inference.executor import Floats, Head
from gpt2.inference.steps import Request, StepSource
from gpt2.interpret.reading import Doubles, Readout, check_position, known, read


@dataclass(frozen=True, slots=True)
class Attribution:
    """Shares of `true`, the logit of `token` minus that of `against` after `position`, in logits.

    `embedding` is the token's, `position_embedding` that of its position; `heads` (L, H) what each
    head wrote, its value bias included, whose share alone is in `constants` (L, H): a head's
    weights sum to 1, so that is the same whatever it attends to; `attention_biases` (L,) the bias
    of each output projection; `mlps` (L,) each MLP with its biases; `final_bias` what ln_f's bias
    adds, whatever the text. `rounding` is what was written and is none of these: zero but for the
    last digits in float32, and the price of packed weights in other precisions, where parts are
    worked out with the float32 matrices.

    All of them but `constants` sum to `total`, and `total - true` is `error`. `accumulated`
    (2 L + 1,) is the same measure of the whole stream at each stage, embeddings first, without
    `final_bias`. `scale` is ln_f's sigma here: what everything was divided by.
    """

    ids: tuple[int, ...]
    position: int
    token: int
    against: int
    true: float
    embedding: float
    position_embedding: float
    heads: Doubles
    constants: Doubles
    attention_biases: Doubles
    mlps: Doubles
    final_bias: float
    rounding: float
    accumulated: Doubles
    scale: float
    precision: str

    @property
    def total(self) -> float:
        """The sum of all parts, in logits."""
        arrays = (self.heads, self.attention_biases, self.mlps)
        single = (self.embedding, self.position_embedding, self.final_bias, self.rounding)
        return sum(single) + sum(float(each.sum()) for each in arrays)

    @property
    def error(self) -> float:
        """How far the sum of all parts is from the true difference, in logits."""
        return self.total - self.true


@dataclass(frozen=True, slots=True)
class Changes:
    """What is changed while a text is read: heads that are off, positions that stand in."""

    heads_off: Mapping[Head, Floats | None] = field(default_factory=dict)
    off_from: int = 0
    positions: Mapping[int, int] = field(default_factory=dict)


def attribution(
    source: StepSource,
    readout: Readout,
    ids: Sequence[int],
    position: int,
    token: int | None,
    against: int | None,
    changes: Changes,
    stopped: Callable[[], bool],
) -> Attribution:
    """`Engine.attribution`. Raises ValueError for a position or token that is not there, and
    Stopped once `stopped()` is true."""
    position = check_position(position, len(ids))
    ids = tuple(ids[: position + 1])  # what comes later cannot be seen from there
    request = Request(
        ids,
        logits_from=position,
        residual=True,
        heads=True,
        heads_off=changes.heads_off,
        off_from=changes.off_from,
        positions=changes.positions,
        stopped=stopped,
    )
    reading = read(source, request)
    logits = known(reading.logits, "logits")[-1]
    token, against = pair(logits, token, against)
    stream = known(reading.residual, "the residual stream")[-1].astype(np.float64)  # (2 L + 1, C)
    found = known(reading.heads, "what heads found")[-1].astype(np.float64)  # (L, H, D)
    for (layer, head), instead in changes.heads_off.items():
        if position >= changes.off_from:
            found[layer, head] = _stand_in(instead, position)

    last = stream[-1]
    scale = float(np.sqrt(last.var() + readout.epsilon))
    towards = readout.embedding[token].astype(np.float64) - readout.embedding[against]
    # Subtracting a part's mean and then multiplying is one product with a centred direction.
    direction = towards * readout.gain
    direction = (direction - direction.mean()) / scale

    shares = stream @ direction
    stage = np.diff(shares)  # what each attention and MLP wrote
    attentions, mlps = stage[::2], stage[1::2]
    split = readout.projections.reshape(*readout.projections.shape[:2], found.shape[1], -1)
    towards_heads = np.einsum("c,lchd->lhd", direction, split, optimize=True)
    heads = (towards_heads * found).sum(axis=-1)
    constants = (towards_heads * readout.value_biases).sum(axis=-1)
    biases = readout.projection_biases @ direction
    embedded_at = changes.positions.get(position, position)
    embedding = float(readout.embedding[ids[-1]] @ direction)
    position_embedding = float(readout.positions[embedded_at] @ direction)
    rounding = (attentions - heads.sum(axis=1) - biases).sum()
    rounding += shares[0] - embedding - position_embedding
    final_bias = float(readout.bias @ towards)
    return Attribution(
        ids,
        position,
        token,
        against,
        float(logits[token]) - float(logits[against]),
        embedding,
        position_embedding,
        heads,
        constants,
        biases,
        mlps,
        final_bias,
        float(rounding),
        shares,
        scale,
        source.precision,
    )


def pair(logits: Floats, token: int | None, against: int | None) -> tuple[int, int]:
    """A token, the likeliest by default, and one to hold against it, the likeliest other one.

    Raises ValueError for an id that is not in the vocabulary, or the same one twice.
    """
    for each in (token, against):
        if each is not None and not 0 <= each < len(logits):
            raise ValueError(f"Token id {each} is not in a vocabulary of {len(logits):,}.")
    if token is None:
        token = int(_without(logits, against).argmax())
    if against is None:
        against = int(_without(logits, token).argmax())
    if token == against:
        raise ValueError(f"Token {token} cannot be held against itself.")
    return token, against


def _without(logits: Floats, token: int | None) -> Floats:
    if token is None:
        return logits
    others = logits.copy()
    others[token] = -np.inf
    return others


def _stand_in(instead: Floats | None, position: int) -> Floats | float:
    if instead is None:
        return 0.0
    stands_in: Floats = instead if instead.ndim == 1 else instead[position]
    return stands_in
