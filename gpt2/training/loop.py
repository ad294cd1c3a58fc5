"""The training loop: one rate for two optimisers, clipping, bfloat16 autocast, exact resume."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gpt2.model import GPT2Model
from gpt2.training.corpus import batches
from gpt2.training.loss import attend_by_formula, backward
from gpt2.training.optimizer import optimizers_for
from gpt2.training.plan import Plan, decay_starts, learning_rate
from gpt2.training.repeats import with_repeats


@dataclass(frozen=True, slots=True)
class Report:
    """After a step: its number from 1, loss in nats per token, rate, tokens per second."""

    step: int
    loss: float
    rate: float
    speed: float


class Trainer:
    """Trains `model` on the row `ids` by `plan`; `state_file` makes an interrupted run resumable.

    A step draws its batch and its dropout from (seed, step number) alone, so a resumed run takes
    exactly the steps an uninterrupted one would have taken.
    """

    def __init__(self, model: GPT2Model, ids: Tensor, plan: Plan, state_file: Path) -> None:
        self.model = model
        self.ids = ids
        self.end_of_text = model.config.vocab_size - 1
        self.plan = plan
        self.state_file = state_file
        self.step = 0
        self.device = model.ln_f.weight.device
        self.optimizers = optimizers_for(model, plan)
        # Dropout of attention weights is the fused kernel's.
        explicit = self.device.type == "cpu" and not model.config.dropout_rate
        self.attend = attend_by_formula if explicit else None
        if state_file.exists():
            self._restore()

    def run(self, until: int, report: Callable[[Report], None], save_seconds: float = 120) -> None:
        """Train up to step `until`, saving the state every `save_seconds` and at the end."""
        length = self.model.config.max_seq_len
        stream = batches(
            self.ids, self.end_of_text, self.plan.batch, length, self.plan.seed, self.step
        )
        self.model.train()
        saved = time.monotonic()
        while self.step < until:
            began = time.monotonic()
            rate = learning_rate(self.plan, self.step)
            loss = self._take_step(next(stream), rate)
            self.step += 1
            speed = self.plan.batch * length / (time.monotonic() - began)
            report(Report(self.step, loss, rate, speed))
            if time.monotonic() - saved > save_seconds:
                self.save()
                saved = time.monotonic()
        self.save()

    def _take_step(self, batch: Tensor, rate: float) -> float:
        plan = self.plan
        torch.manual_seed(plan.seed * 1_000_003 + self.step)
        inputs, targets = with_repeats(
            batch, plan.repeats, self.model.config.vocab_size, plan.seed, self.step
        )
        self.model.zero_grad()
        loss = backward(self.model, inputs.to(self.device), targets.to(self.device), self.attend)
        if not math.isfinite(loss):
            raise FloatingPointError(f"the loss is {loss} at step {self.step}: lower the rate")
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), plan.clip)
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = rate
            optimizer.step()
        return loss

    def save(self) -> None:
        """Write the state beside its file, then move it there: a kill never leaves half a file."""
        state = {
            "plan": asdict(self.plan),
            "config": asdict(self.model.config),
            "step": self.step,
            "model": self.model.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
        }
        partial = self.state_file.with_suffix(".partial")
        torch.save(state, partial)
        os.replace(partial, self.state_file)

    def _restore(self) -> None:
        state = torch.load(self.state_file, map_location=self.device, weights_only=True)
        for name, ours in (("plan", asdict(self.plan)), ("config", asdict(self.model.config))):
            if state[name] != ours and not self._only_longer(state):
                raise ValueError(
                    f"{self.state_file} was made with {name} {state[name]}, not {ours}: "
                    "use the same options, or another --out"
                )
        self.model.load_state_dict(state["model"])
        for optimizer, ours in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(ours)
        self.step = state["step"]

    def _only_longer(self, state: dict[str, Any]) -> bool:
        """Whether nothing but the number of steps differs, and neither plan's rate fell yet."""
        theirs = Plan(**state["plan"])
        return (
            state["config"] == asdict(self.model.config)
            and replace(theirs, steps=self.plan.steps) == self.plan
            and state["step"] <= min(decay_starts(theirs), decay_starts(self.plan))
        )
