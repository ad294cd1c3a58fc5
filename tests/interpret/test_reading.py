"""What every measurement starts from."""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
import pytest
import torch

from gpt2.inference.executor import NOTHING, Floats, Ints, Pass, Watch
from gpt2.inference.steps import Request
from gpt2.inference.torch_executor import TorchExecutor, halve
from gpt2.interpret.reading import AT_ONCE, Readout, Stopped, check_position, each_at_once, read
from tests.interpret.hooked import NAMES, pair

from ..small import CONFIG, small_engine


@pytest.mark.parametrize("name", NAMES)
def test_the_readout_turns_the_last_stream_into_the_logits(name: str) -> None:
    own = pair(name)
    ids = own.ids()
    reading = read(own.engine.source, Request(ids, logits_from=0, residual=True))
    assert reading.logits is not None and reading.residual is not None
    found = own.engine.readout.logits(reading.residual[:, -1])
    np.testing.assert_allclose(found, own.logits(ids), atol=2e-5 * np.abs(found).max())


def test_weights_in_other_floats_are_read_as_float32() -> None:
    """As on a GPU, whose matrices are float16."""
    engine = small_engine()
    expected = small_engine().readout
    model = halve(engine.model)
    weights = model.state_dict() | {"wpe.weight": model.wpe.weight}
    found = Readout.from_weights(weights, CONFIG.num_heads, CONFIG.layer_norm_epsilon)
    for field in ("embedding", "positions", "projections", "value_biases", "projection_biases"):
        mine = getattr(found, field)
        assert mine.dtype == np.float32
        np.testing.assert_allclose(mine, getattr(expected, field), rtol=1e-3, atol=1e-3)
    assert found.value_biases.shape == (2, CONFIG.num_heads, CONFIG.hidden_dimension)


def test_positions_that_are_waves_are_read_too() -> None:
    """They are no part of a checkpoint."""
    engine = small_engine(replace(CONFIG, positions="sinusoidal"))
    found = engine.attribution([5, 6, 7, 8])
    assert abs(found.error) < 1e-4
    assert abs(found.rounding) < 1e-4


class Blind(TorchExecutor):
    """Hands out nothing but logits, as an executor does that has not learned to yet."""

    def run(
        self, ids: Ints, positions: Ints, slots: Ints, wanted: Ints, watch: Watch = NOTHING
    ) -> Pass:
        logits: Floats = super().run(ids, positions, slots, wanted).logits
        return Pass(logits)


def test_an_executor_that_hides_something_is_told_apart_from_one_that_found_nothing() -> None:
    engine = small_engine()
    engine.change_to(Blind(engine.model, 2))
    with pytest.raises(NotImplementedError, match="does not hand out the residual stream"):
        engine.lens([1, 2, 3])
    with pytest.raises(NotImplementedError, match="does not hand out what heads found"):
        engine.effects([1, 2, 3])


def test_a_text_that_was_not_read_to_its_end_is_no_measurement() -> None:
    with pytest.raises(Stopped):
        read(small_engine().source, Request([1, 2, 3], stopped=lambda: True))


def test_tasks_run_some_at_once_and_every_result_comes() -> None:
    gate = threading.Barrier(AT_ONCE)

    def square(number: int) -> int:
        gate.wait(10)  # passes only if so many run together
        return number * number

    told: list[tuple[int, int]] = []
    tasks = list(range(3 * AT_ONCE))
    found = dict(
        each_at_once(square, tasks, lambda: False, lambda done, of: told.append((done, of)))
    )
    assert found == {number: number * number for number in tasks}
    assert told == [(done, len(tasks)) for done in range(len(tasks) + 1)]


def test_what_a_task_raises_ends_them_all() -> None:
    begun: list[int] = []

    def fail(number: int) -> int:
        begun.append(number)
        raise ArithmeticError("broken")

    with pytest.raises(ArithmeticError, match="broken"):
        list(each_at_once(fail, range(100), lambda: False, lambda done, of: None))
    assert len(begun) <= 2 * AT_ONCE


def test_no_tasks_are_no_results() -> None:
    assert list(each_at_once(str, [], lambda: False, lambda done, of: None)) == []


def test_positions_count_from_the_end_where_negative() -> None:
    assert [check_position(each, 5) for each in (0, 4, -1, -5)] == [0, 4, 4, 0]
    for position in (5, -6):
        with pytest.raises(ValueError, match=f"from 0 to 4, not {position}"):
            check_position(position, 5)


def test_nothing_of_it_needs_gradients() -> None:
    engine = small_engine()
    engine.model.requires_grad_(True)
    assert isinstance(engine.readout.embedding, np.ndarray)
    assert torch.is_grad_enabled()
