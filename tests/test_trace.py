"""A trace is read as it was packed, and computing it again finds what is the same."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpt2 import SamplingOptions
from gpt2.trace import MAGIC, Stretch, Trace, parse, replay
from gpt2.ui.session.run_log import RunLog
from tests.examples import examples
from tests.small import CONFIG, small_engine

ENGINE = small_engine()
WARM = SamplingOptions(seed=3)
COLD = SamplingOptions(temperature=0, seed=9)
LAYERS, HEADS = CONFIG.num_blocks, CONFIG.num_heads


def written(*stretches: tuple[SamplingOptions, int], off: tuple = ()) -> RunLog:
    """A text of several presses of a button."""
    ids = ENGINE.encode("It was late, and the fox was not at home.")
    log = RunLog(
        "tiny",
        stretches[0][0],
        ids,
        len(ids),
        LAYERS,
        HEADS,
        off=off,
        tokenizer=ENGINE.tokenizer,
        context=CONFIG.max_seq_len,
    )
    for options, count in stretches:
        begun = log.begin(log, options, count, "", ENGINE.precision)
        for event in ENGINE.stream(begun, options, count, attention=log.wanted, off=off):
            log.put(log, event)
    return log


def trace_of(*stretches: tuple[SamplingOptions, int], off: tuple = ()) -> Trace:
    return written(*stretches, off=off).trace("ab" * 32, "float32")


def test_a_trace_is_read_as_it_was_packed() -> None:
    trace = trace_of((WARM, 8), (COLD, 5), off=((1, 2),))
    again = parse(trace.packed())
    assert replace(again, rows=(), seconds=()) == replace(trace, rows=(), seconds=())
    assert again.seconds == pytest.approx(trace.seconds)
    assert len(again.rows) == len(trace.ids) - 1
    for row, expected in zip(again.rows, trace.rows, strict=True):
        np.testing.assert_array_equal(row, expected)


@pytest.mark.parametrize("off", [(), ((0, 1), (1, 2))])
def test_a_text_that_is_computed_again_is_the_same_to_the_bit(off: tuple) -> None:
    trace = parse(trace_of((WARM, 12), (COLD, 7), off=off).packed())
    found = replay(ENGINE, trace)
    assert (found.written, found.same_ids, found.first_other) == (19, 19, None)
    assert (found.rows, found.same_rows, found.most_levels) == (len(trace.ids) - 1,) * 2 + (0,)


def test_what_is_not_the_same_is_found() -> None:
    trace = trace_of((WARM, 12))
    place = trace.prompt + 4
    other = (trace.ids[place] + 1) % 300
    ids = (*trace.ids[:place], other, *trace.ids[place + 1 :])
    found = replay(ENGINE, replace(trace, ids=ids))
    assert found.first_other == place
    assert found.same_ids < found.written == 12
    row = trace.rows[5].copy()
    row[1, 2, 3] += 7 if row[1, 2, 3] < 200 else -7
    found = replay(ENGINE, replace(trace, rows=(*trace.rows[:5], row, *trace.rows[6:])))
    assert (found.same_ids, found.rows - found.same_rows, found.most_levels) == (12, 1, 7)


def test_a_text_that_another_model_wrote_is_refused() -> None:
    trace = trace_of((WARM, 3))
    with pytest.raises(ValueError, match="5 layers with 3 heads, this model has 2 with 3"):
        replay(ENGINE, replace(trace, layers=5))
    with pytest.raises(ValueError, match="tokens that this model does not have"):
        replay(ENGINE, replace(trace, ids=(*trace.ids, 10**6)))


def test_of_a_long_text_the_first_rows_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    trace = trace_of((WARM, 12))
    monkeypatch.setattr("gpt2.trace.MOST_ROW_BYTES", 200)
    again = parse(trace.packed())
    assert 0 < len(again.rows) < 10
    found = replay(ENGINE, again)
    assert found.rows == found.same_rows == len(again.rows)


def test_a_text_that_was_brought_back_is_one_stretch() -> None:
    log = written((WARM, 6))
    log.stretches.clear()
    trace = log.trace("ab" * 32, "float32")
    assert trace.stretches == (Stretch(trace.prompt, WARM, 6),)
    assert replay(ENGINE, trace).same_ids == 6


WHOLE = trace_of((WARM, 5)).packed()


@examples(80)
@given(
    cut=st.integers(0, len(WHOLE)),
    at=st.integers(0, len(WHOLE) - 1),
    byte=st.integers(0, 255),
    more=st.binary(max_size=9),
)
def test_a_file_that_is_none_gets_a_sentence(cut: int, at: int, byte: int, more: bytes) -> None:
    changed = WHOLE[:at] + bytes([byte]) + WHOLE[at + 1 :]
    for data in (WHOLE[:cut], changed, WHOLE + more, more, MAGIC + more):
        try:
            parse(data)
        except ValueError as error:
            assert "This is no trace of this program" in str(error)
