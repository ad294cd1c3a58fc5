"""Work in a thread of its own, so that the threads PyTorch starts for it end with it.

OpenMP keeps a pool of threads for every thread that ever computed. Where all of them together are
more than the CPUs, none waits actively for its next piece of work any more, and every token that
another thread writes takes twice as long.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import wraps
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


def run_in_fresh_thread(work: Callable[P, T]) -> Callable[P, T]:
    """`work`, done in a new thread while the caller waits; its errors are raised as they are."""

    @wraps(work)
    def in_a_thread(*args: P.args, **kwargs: P.kwargs) -> T:
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(work, *args, **kwargs).result()

    return in_a_thread
