"""python -m gpt2.training: train one built-in size and write it where the engine finds it."""

from __future__ import annotations

import argparse
import csv
import dataclasses
import platform
import sys
import time
from pathlib import Path

import torch

from gpt2.checkpoint import save_model
from gpt2.config import SIZES
from gpt2.model import GPT2Model
from gpt2.runtime import terminal
from gpt2.runtime.progress_bar import ProgressBar
from gpt2.tokenizer import Tokenizer
from gpt2.training.corpus import read_documents, tokenize
from gpt2.training.evaluation import bits_per_byte
from gpt2.training.loop import Report, Trainer
from gpt2.training.plan import Plan

# The simplest level three times: the sizes are small, and simple sentences suit them.
MIX = ("train_level1", "train_level1", "train_level1", "train_level2")


def arguments() -> argparse.Namespace:
    """The command line; what the shipped models were made with is in their cards."""
    parser = argparse.ArgumentParser(prog="python -m gpt2.training", description=__doc__)
    add = parser.add_argument
    add("--corpus", type=Path, required=True, help="folder with TRAIN.txt(.gz) and valid.txt(.gz)")
    add("--train", nargs="+", default=MIX, help="files to learn from (globs); twice counts twice")
    add("--size", default="tiny", choices=[s.name for s in SIZES.values() if s.built_in])
    add("--steps", type=int, default=8000, help="optimiser steps")
    add("--batch", type=int, default=8, help="pieces of one context length per step")
    add("--rate", type=float, default=3e-3, help="peak learning rate")
    add("--warm-up", type=int, default=200, help="steps until the peak rate")
    add("--dropout", type=float, default=0.0)
    add("--repeats", type=float, default=0.06, help="share of pieces that repeat random tokens")
    add("--seed", type=int, default=1)
    add("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    add("--evaluate-every", type=int, default=500, help="steps between validations")
    add("--out", type=Path, required=True, help="folder for state, loss curve and the model")
    return parser.parse_args()


def main() -> int:
    """Train (or go on where an interrupted run stopped), validate, export."""
    options = arguments()
    config = dataclasses.replace(SIZES[options.size].config, dropout_rate=options.dropout)
    tokenizer = Tokenizer(config.vocab_size)
    ids = tokenize(read_documents(options.corpus, *options.train), tokenizer)
    held_out = read_documents(options.corpus, "valid")
    plan = Plan(
        options.steps,
        options.batch,
        options.rate,
        options.seed,
        options.warm_up,
        options.repeats,
    )
    print(f"{config.num_parameters:,} parameters, {ids.numel():,} tokens, {plan}")

    options.out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(options.seed)
    model = GPT2Model.from_config(config).to(options.device)
    trainer = Trainer(model, ids, plan, options.out / "state.pt")
    with ProgressBar() as bar:
        curve = Curve(options.out / "curve.csv", plan, bar)
        while trainer.step < plan.steps:
            trainer.run(min(plan.steps, trainer.step + options.evaluate_every), curve.report)
            curve.validated(trainer.step, bits_per_byte(model, tokenizer, held_out[::8]))

    score = bits_per_byte(model, tokenizer, held_out)
    print(f"validation: {score:.4f} bits per byte over {len(held_out)} documents")
    metadata = {
        **{name: str(value) for name, value in dataclasses.asdict(plan).items()},
        "train": " ".join(options.train),
        "tokens_seen": str(plan.steps * plan.batch * config.max_seq_len),
        "bits_per_byte": f"{score:.4f}",
        "versions": f"torch {torch.__version__}, python {platform.python_version()}",
    }
    save_model(model.cpu(), options.out / "model", metadata, torch.float16)
    print(f"written to {options.out / 'model'}")
    return 0


class Curve:
    """The loss curve: a bar for the one who waits, a CSV for the model card."""

    def __init__(self, file: Path, plan: Plan, bar: ProgressBar) -> None:
        self.file = file
        self.plan = plan
        self.bar = bar
        self.began = time.monotonic()
        if not file.exists():
            self._append("step", "training_loss_nats", "validation_bits_per_byte", "seconds")

    def report(self, report: Report) -> None:
        """Called after every step; every 50th goes into the file."""
        text = f"step {report.step} loss {report.loss:.3f} {report.speed:,.0f} tokens/s"
        self.bar.show(report.step / self.plan.steps, text)
        if report.step % 50 == 0:
            self._append(report.step, f"{report.loss:.4f}", "", self._seconds())

    def validated(self, step: int, score: float) -> None:
        """Called with bits per byte on an eighth of the held-out documents."""
        self._append(step, "", f"{score:.4f}", self._seconds())

    def _seconds(self) -> int:
        return round(time.monotonic() - self.began)

    def _append(self, *row: object) -> None:
        with self.file.open("a", newline="") as stream:
            csv.writer(stream).writerow(row)


if __name__ == "__main__":
    sys.exit(terminal.run(main, (ValueError, FileNotFoundError)))
