"""The size a page begins with: the best that is here and quick enough, never a toy by choice."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace

import numpy as np
import pytest

from gpt2.ui.session import default_size as module
from gpt2.ui.session.default_size import default_size, memory_bytes_per_second
from gpt2.ui.session.sizes import size_hint


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv(module.DEFAULT_SIZE_VARIABLE, raising=False)
    monkeypatch.setenv("GPT2_PRECISION", "float32")
    default_size.cache_clear()
    yield
    default_size.cache_clear()


@pytest.mark.parametrize(
    ("cached", "rate", "expected"),
    [
        ([], 1e10, "mini"),  # offline
        (["small"], 1e10, "small"),  # 20 tokens a second
        (["small"], 7e9, "mini"),  # 14
        (["distil", "small"], 7e9, "distil"),
        (["small", "medium"], 1e10, "small"),
        (["small", "medium"], 1e11, "medium"),
    ],
)
def test_the_best_that_is_here_and_quick_enough(
    monkeypatch: pytest.MonkeyPatch, cached: list[str], rate: float, expected: str
) -> None:
    here = ["tiny", "mini", *cached]
    monkeypatch.setattr(module, "is_cached", lambda source: source.name in here)
    monkeypatch.setattr(module, "memory_bytes_per_second", lambda: rate)
    assert default_size() == expected


def test_the_owner_has_the_last_word(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(module.DEFAULT_SIZE_VARIABLE, "tiny")
    assert default_size() == "tiny"
    default_size.cache_clear()
    monkeypatch.setenv(module.DEFAULT_SIZE_VARIABLE, "huge")
    with pytest.raises(ValueError, match="Model size must be one of tiny"):
        default_size()


def test_memory_is_measured() -> None:
    assert 1e8 < memory_bytes_per_second() < 1e13


def test_a_busy_moment_is_not_the_machines_speed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first readings take ten times as long, for they share the memory with others."""
    now, readings = 0.0, 0

    def clock() -> float:
        return now

    class Vector:
        def __rmatmul__(self, matrix: object) -> None:
            nonlocal now, readings
            readings += 1
            now += 0.07 if readings <= 3 else 0.007

        __array_ufunc__ = None  # so that the matrix leaves the product to it

    monkeypatch.setattr(module, "time", SimpleNamespace(perf_counter=clock))
    ones = np.ones
    monkeypatch.setattr(
        module.np,
        "ones",
        lambda shape, kind: ones(shape, kind) if isinstance(shape, tuple) else Vector(),
    )
    rate = memory_bytes_per_second()
    assert rate == pytest.approx(4 * module._SIDE**2 / 0.007)


def test_a_toy_is_called_one() -> None:
    assert size_hint("mini") == (
        "4.3 M parameters, trained here on children's stories; for real GPT-2 choose Small"
    )
    assert size_hint("small") == "124 M parameters, GPT-2 as OpenAI released it in 2019"
