"""How many may use this server, and how much: set by its owner, in the environment."""

from __future__ import annotations

from dataclasses import dataclass

from gpt2.engine import SLOTS
from gpt2.runtime import settings

# Open pages and callers that are remembered: Gradio keeps 0.13 MB of each, by itself of 10,000.
MOST_VISITORS = 500


@dataclass(frozen=True, slots=True)
class Limits:
    """`running` texts are written at once, at most as many as share a pass.

    `waiting` more may stand in line. A visitor may have `per_visitor` runs, in line or running, and
    a run may write for `seconds`.
    """

    running: int = SLOTS
    waiting: int = 32
    per_visitor: int = 4
    seconds: int = 900

    @property
    def per_address(self) -> int:
        """Runs that all open pages of one address may have, in line or running.

        A class of thirty behind one router fits in; one computer cannot take every place.
        """
        return max(self.per_visitor, 3 * (self.running + self.waiting) // 4)

    @classmethod
    def from_environment(cls) -> Limits:
        """GPT2_RUNNING, GPT2_WAITING, GPT2_PER_VISITOR, GPT2_SECONDS. Raises ValueError."""
        return cls(
            settings.RUNNING.get(),
            settings.WAITING.get(),
            settings.PER_VISITOR.get(),
            settings.SECONDS.get(),
        )
