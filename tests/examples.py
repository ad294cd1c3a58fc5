"""What a push tries and what only a night does: of Hypothesis's examples, and of parameters."""

from __future__ import annotations

import os

import pytest
from _pytest.mark.structures import ParameterSet
from hypothesis import HealthCheck, settings

NIGHTLY = "nightly"
_PUSH = "push"
_NIGHTLY_EXAMPLES = 300


def register_profiles() -> None:
    """No deadline: how long one example takes says more about the machine than about the code."""
    pushed = settings(
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],  # the same fault of a busy machine
        derandomize="CI" in os.environ,  # a push fails by its own change, not by luck
        print_blob=True,
    )
    settings.register_profile(_PUSH, pushed)
    settings.register_profile(NIGHTLY, pushed, max_examples=_NIGHTLY_EXAMPLES, derandomize=False)
    settings.load_profile(_PUSH)  # pytest's --hypothesis-profile comes after this, and wins


def by_night(*values: object) -> list[ParameterSet]:
    """For `parametrize`: beside the one that a push takes, those of the same kind."""
    return [
        pytest.param(*(v if isinstance(v, tuple) else (v,)), marks=pytest.mark.nightly)
        for v in values
    ]


def examples(count: int) -> settings:
    """`count` examples for a test whose hundred would take too long, or prove too little.

    Nightly it gets at least as many as every other.
    """
    nightly = settings.get_current_profile_name() == NIGHTLY
    return settings(max_examples=max(count, _NIGHTLY_EXAMPLES) if nightly else count)
