"""The training loop: AdamW, warm-up and cosine, clipping, bfloat16 autocast, exact resume."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from gpt2.model import GPT2Model
from gpt2.training.corpus import batches


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything the result depends on besides the corpus. `peak_rate` is Adam's step size."""

    steps: int
    batch: int
    peak_rate: float
    seed: int
    warm_up: int
    weight_decay: float = 0.1
    clip: float = 1.0


@dataclass(frozen=True, slots=True)
class Report:
    """After a step: its number from 1, loss in nats per token, rate, tokens per second."""

    step: int
    loss: float
    rate: float
    speed: float


def learning_rate(plan: Plan, step: int) -> float:
    """Linear from 0 over the warm-up, then half a cosine down to 0 (Loshchilov and Hutter 2017)."""
    if step < plan.warm_up:
        return plan.peak_rate * (step + 1) / plan.warm_up
    progress = (step - plan.warm_up) / max(1, plan.steps - plan.warm_up)
    return plan.peak_rate * 0.5 * (1 + math.cos(math.pi * progress))


def optimizer_for(model: GPT2Model, plan: Plan) -> torch.optim.AdamW:
    """AdamW (Loshchilov and Hutter 2019); matrices decay, biases and norms do not."""
    matrices = [p for p in model.parameters() if p.dim() >= 2]
    vectors = [p for p in model.parameters() if p.dim() < 2]
    groups = [
        {"params": matrices, "weight_decay": plan.weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=plan.peak_rate, betas=(0.9, 0.98), fused=True)


class Trainer:
    """Trains `model` on the row `ids` by `plan`; `state_file` makes an interrupted run resumable.

    A step draws its batch and its dropout from (seed, step number) alone, so a resumed run takes
    exactly the steps an uninterrupted one would have taken.
    """

    def __init__(self, model: GPT2Model, ids: Tensor, plan: Plan, state_file: Path) -> None:
        self.model = model
        self.ids = ids
        self.plan = plan
        self.state_file = state_file
        self.step = 0
        self.device = model.ln_f.weight.device
        self.optimizer = optimizer_for(model, plan)
        if state_file.exists():
            self._restore()

    def run(self, until: int, report: Callable[[Report], None], save_seconds: float = 120) -> None:
        """Train up to step `until`, saving the state every `save_seconds` and at the end."""
        length = self.model.config.max_seq_len
        stream = batches(self.ids, self.plan.batch, length, self.plan.seed, self.step)
        self.model.train()
        saved = time.monotonic()
        while self.step < until:
            began = time.monotonic()
            rate = learning_rate(self.plan, self.step)
            loss = self._take_step(next(stream).to(self.device), rate)
            self.step += 1
            speed = self.plan.batch * length / (time.monotonic() - began)
            report(Report(self.step, loss, rate, speed))
            if time.monotonic() - saved > save_seconds:
                self.save()
                saved = time.monotonic()
        self.save()

    def _take_step(self, batch: Tensor, rate: float) -> float:
        torch.manual_seed(self.plan.seed * 1_000_003 + self.step)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        with torch.autocast(self.device.type, dtype=torch.bfloat16):
            logits = self.model(batch[:, :-1])  # (B, T, V)
            loss = F.cross_entropy(logits.flatten(0, 1), batch[:, 1:].flatten())
        self.optimizer.zero_grad()
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.plan.clip)
        self.optimizer.step()
        value = loss.item()
        if not math.isfinite(value):
            raise FloatingPointError(f"the loss is {value} at step {self.step}: lower the rate")
        return value

    def save(self) -> None:
        """Write the state beside its place, then move it there: a kill never leaves half a file."""
        state = {
            "plan": asdict(self.plan),
            "config": asdict(self.model.config),
            "step": self.step,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
        }
        partial = self.state_file.with_suffix(".partial")
        torch.save(state, partial)
        os.replace(partial, self.state_file)

    def _restore(self) -> None:
        state = torch.load(self.state_file, map_location=self.device, weights_only=True)
        for name, ours in (("plan", self.plan), ("config", self.model.config)):
            if state[name] != asdict(ours):
                raise ValueError(
                    f"{self.state_file} was made with {name} {state[name]}, not {asdict(ours)}: "
                    "use the same options, or another --out"
                )
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step = state["step"]
