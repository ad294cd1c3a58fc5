"""Activation patching against transformers with hooks, cell by cell."""

from __future__ import annotations

import numpy as np
import pytest

from gpt2 import load
from tests.interpret.hooked import pair, stream_of, with_stream

from ..small import small_engine


@pytest.mark.parametrize("name", ["tiny", "odd", "wide"])
def test_every_cell_is_theirs(name: str) -> None:
    own = pair(name)
    clean = own.ids(9)
    corrupted = [*clean[:3], clean[3] + 1, *clean[4:]]
    found = own.engine.patching(clean, corrupted, 7, 100)
    stream = stream_of(own, clean)
    ends = [own.logits(ids)[-1, 7] - own.logits(ids)[-1, 100] for ids in (clean, corrupted)]
    assert (found.clean_lead, found.corrupted_lead) == pytest.approx(ends, abs=1e-4)
    shape = (own.config.num_blocks, 9)
    assert found.restored.shape == shape
    for layer, position in np.ndindex(shape):
        logits = with_stream(own, corrupted, layer, position, stream[position, 2 * layer])[-1]
        expected = (logits[7] - logits[100] - ends[1]) / (ends[0] - ends[1])
        assert found.restored[layer, position] == pytest.approx(expected, abs=2e-3)
    assert found.control == 0


def test_the_token_that_differs_is_the_whole_answer_before_the_first_layer() -> None:
    own = pair("odd")
    clean = own.ids(9)
    found = own.engine.patching(clean, [*clean[:4], clean[4] + 1, *clean[5:]], 7, 100)
    assert found.restored[0].tolist() == pytest.approx([0, 0, 0, 0, 1, 0, 0, 0, 0], abs=1e-4)
    assert (found.restored[:, :4] == 0).all()  # nothing differs there


@pytest.mark.parametrize("precision", ["float32", "float16", "int8", "int4"])
def test_the_control_is_exactly_zero_in_every_precision(precision: str) -> None:
    engine = load("tiny", precision)
    found = engine.patching("The king said that he", "The girl said that he")
    assert found.control == 0
    assert found.restored[0, 1] == pytest.approx(1, abs=1e-6)
    assert found.precision == engine.precision


def test_by_default_the_answers_of_both_prompts_stand_against_each_other() -> None:
    engine = small_engine()
    clean, corrupted = [1, 2, 3], [1, 9, 3]
    found = engine.patching(clean, corrupted)
    assert found.answer == engine.logits(clean)[-1].argmax()
    assert found.against != found.answer


def test_a_stop_leaves_the_rest_unmeasured() -> None:
    done = 0

    def progress(count: int, of: int) -> None:
        nonlocal done
        done = count

    found = small_engine().patching(
        [1, 2, 3, 4], [1, 9, 3, 4], 5, 6, stopped=lambda: done >= 3, progress=progress
    )
    assert 0 < np.isnan(found.restored).sum() < 6


@pytest.mark.parametrize(
    ("clean", "corrupted", "message"),
    [
        ([1, 2], [1, 2, 3], "as many tokens as each other, not 2 and 3"),
        ([1, 2], [1, 2], "the same"),
    ],
)
def test_prompts_that_cannot_be_compared_are_refused(
    clean: list[int], corrupted: list[int], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        small_engine().patching(clean, corrupted)
