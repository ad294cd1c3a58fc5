"""python -m gpt2.precision.error: how far other precisions are from float32, on a text."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from gpt2.checkpoint import fetch, find_source, read_tokenizer
from gpt2.model import GPT2Model
from gpt2.precision.choice import PRECISIONS, load_with_precision
from gpt2.runtime.device import wanted_device


@dataclass(frozen=True, slots=True)
class Error:
    """Against the reference: mean Kullback-Leibler divergence in nats per token, the largest change
    of any probability, the share of tokens with the same likeliest next one, and by how much the
    mean loss changes, as a share of it."""

    divergence: float
    largest_change: float
    agreement: float
    loss: float


@torch.inference_mode()
def error(reference: GPT2Model, other: GPT2Model, ids: Tensor) -> Error:
    """Over all predictions for the rows of `ids` (B, T)."""
    p = reference(ids).double().log_softmax(-1)
    q = other(ids).double().log_softmax(-1)
    said = ids[:, 1:, None]
    losses = [-logs[:, :-1].gather(-1, said).mean().item() for logs in (p, q)]
    return Error(
        divergence=(p.exp() * (p - q)).sum(-1).mean().item(),
        largest_change=(p.exp() - q.exp()).abs().max().item(),
        agreement=(p.argmax(-1) == q.argmax(-1)).double().mean().item(),
        loss=losses[1] / losses[0] - 1,
    )


def main() -> None:
    """One line for each precision."""
    parser = argparse.ArgumentParser(prog="python -m gpt2.precision.error", description=__doc__)
    parser.add_argument("--size", default="tiny", help="a size, a folder or a hub repository")
    parser.add_argument("--text", type=Path, required=True, help="a text file")
    parser.add_argument("--pieces", type=int, default=16, help="contexts of it to read")
    options = parser.parse_args()
    folder = fetch(find_source(options.size))
    device = wanted_device()
    reference = load_with_precision(folder, "float32", device)
    context = reference.config.max_seq_len
    tokenizer = read_tokenizer(folder)
    ids = tokenizer.encode(options.text.read_text("utf-8")[: 8 * context * options.pieces])
    rows = min(options.pieces, len(ids) // context)
    pieces = torch.tensor(ids[: rows * context], device=device).view(rows, context)
    for precision in PRECISIONS[device]:
        if precision == "float32":
            continue
        found = error(reference, load_with_precision(folder, precision, device), pieces)
        print(
            f"{options.size} {precision}: divergence {found.divergence:.1e}, "
            f"largest change {found.largest_change:.3f}, same likeliest {found.agreement:.1%}, "
            f"loss {found.loss:+.2%}"
        )


if __name__ == "__main__":
    main()
