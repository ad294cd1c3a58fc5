"""python -m gpt2.bench.divergence: how far other precisions are from float32, on a text."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from gpt2.engine import Engine
from gpt2.loading import load
from gpt2.precision import PRECISIONS
from gpt2.runtime.device import wanted_device
from gpt2.runtime.units import format_percent


@dataclass(frozen=True, slots=True)
class Divergence:
    """Against the reference: mean Kullback-Leibler divergence in nats per token, the largest change
    of any probability, the share of tokens with the same likeliest next one, and by how much the
    mean loss changes, as a share of it."""

    mean: float
    largest_change: float
    agreement: float
    loss: float


def divergence(reference: Engine, other: Engine, texts: Sequence[Sequence[int]]) -> Divergence:
    """Over all predictions for `texts`, ids each."""
    means, changes, agreements = [], [], []
    losses = np.zeros(2)
    for ids in texts:
        logits = reference.logits(ids), other.logits(ids)
        p, q = (_log_softmax(each) for each in logits)
        means.append((np.exp(p) * (p - q)).sum(-1))
        changes.append(np.abs(np.exp(p) - np.exp(q)).max())
        agreements.append(p.argmax(-1) == q.argmax(-1))
        said = np.arange(len(ids) - 1), np.asarray(ids[1:])
        losses -= p[said].sum(), q[said].sum()
    return Divergence(
        float(np.concatenate(means).mean()),
        float(max(changes)),
        float(np.concatenate(agreements).mean()),
        float(losses[1] / losses[0] - 1),
    )


def _log_softmax(logits: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    scores = logits.astype(np.float64)
    scores -= scores.max(-1, keepdims=True)
    scores -= np.log(np.exp(scores).sum(-1, keepdims=True))
    return scores


def main() -> None:
    """One line for each precision."""
    parser = argparse.ArgumentParser(prog="python -m gpt2.bench.divergence", description=__doc__)
    parser.add_argument("--size", default="tiny", help="a size, a folder or a hub repository")
    parser.add_argument("--text", type=Path, required=True, help="a text file")
    parser.add_argument("--pieces", type=int, default=16, help="contexts of it to read")
    options = parser.parse_args()
    reference = load(options.size)
    context = reference.config.max_seq_len
    text = options.text.read_text("utf-8")[: 8 * context * options.pieces]
    ids = reference.tokenizer.encode(text)
    rows = min(options.pieces, len(ids) // context)
    texts = [ids[row * context : (row + 1) * context] for row in range(rows)]
    for precision in PRECISIONS[wanted_device()][1:]:
        other = load(options.size, precision)
        found = divergence(reference, other, texts)
        print(
            f"{options.size} {other.precision}: divergence {found.mean:.1e}, "
            f"largest change {found.largest_change:.3f}, "
            f"same likeliest {format_percent(found.agreement, 1)}, "
            f"loss {found.loss:+.2%}"
        )


if __name__ == "__main__":
    main()
