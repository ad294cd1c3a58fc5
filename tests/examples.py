"""How many examples Hypothesis tries, and how: one profile at a push, its longer form nightly."""

from __future__ import annotations

import os

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


def examples(count: int) -> settings:
    """`count` examples for a test whose hundred would take too long, or prove too little.

    Nightly it gets at least as many as every other.
    """
    nightly = settings.get_current_profile_name() == NIGHTLY
    return settings(max_examples=max(count, _NIGHTLY_EXAMPLES) if nightly else count)
