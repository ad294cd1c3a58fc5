"""What a training run depends on, and how its learning rate rises and falls."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything the result depends on besides the corpus.

    `peak_rate` is Adam's step size, `repeats` the share of pieces that `with_repeats` replaces.
    """

    steps: int
    batch: int
    peak_rate: float
    seed: int
    warm_up: int
    repeats: float = 0.0
    weight_decay: float = 0.1
    clip: float = 1.0


def decay_starts(plan: Plan) -> int:
    """The step from which the rate falls: 70 % of the way."""
    return plan.steps - round(0.3 * plan.steps)


def learning_rate(plan: Plan, step: int) -> float:
    """Linear from 0 over the warm-up, the peak rate for long, then linear down to 0.

    The length of the run matters only once the rate falls, so a run may be lengthened or cut short
    until then (Hägele et al. 2024).
    """
    left = (plan.steps - step) / max(1, plan.steps - decay_starts(plan))
    return plan.peak_rate * min(1.0, (step + 1) / max(1, plan.warm_up), left)
