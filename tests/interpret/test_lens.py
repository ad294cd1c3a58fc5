"""The logit lens against transformers, stage by stage."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gpt2 import load
from gpt2.interpret.lens import lens_of_stream, settled, stage_names
from gpt2.interpret.reading import Stopped
from tests.interpret.hooked import NAMES, Pair, pair, stream_of

from ..small import small_engine


def their_lens(own: Pair, ids: list[int]) -> np.ndarray:
    """Logits (T, S, V) of every stage, through their own ln_f and head."""
    with torch.no_grad():
        normed = own.reference.transformer.ln_f(torch.from_numpy(stream_of(own, ids)))
        return own.reference.lm_head(normed).numpy()


@pytest.mark.parametrize("name", NAMES)
def test_every_stage_is_theirs(name: str) -> None:
    own = pair(name)
    ids = own.ids()
    found = own.engine.lens(ids)
    logits = their_lens(own, ids)
    assert len(found.stages) == logits.shape[1] == 2 * own.config.num_blocks + 1
    exact = torch.from_numpy(logits).double().softmax(-1).numpy()
    guessed = np.take_along_axis(logits, found.guess[..., None], -1)[..., 0]
    np.testing.assert_allclose(guessed, logits.max(-1), atol=1e-4)  # ties may go either way
    np.testing.assert_allclose(found.probability, exact.max(-1), atol=1e-5)
    final = np.broadcast_to(found.guess[:, -1:], found.guess.shape)
    of_final = np.take_along_axis(exact, final[..., None], -1)[..., 0]
    np.testing.assert_allclose(found.final_probability, of_final, atol=1e-5)
    # Rounding may swap those that are nearly as likely.
    final_logit = np.take_along_axis(logits, final[..., None], -1)
    near = 1e-5 * np.abs(logits).max()
    assert (found.rank >= 1 + (logits > final_logit + near).sum(-1)).all()
    assert (found.rank <= (logits >= final_logit - near).sum(-1)).all()


@pytest.mark.parametrize("name", NAMES)
def test_the_last_stage_is_the_output(name: str) -> None:
    """ln_f once: transformers' own hidden_states[-1] has had it already."""
    own = pair(name)
    ids = own.ids()
    found = own.engine.lens(ids)
    assert found.deviation < 1e-5 * max(1, np.abs(own.logits(ids)).max())
    assert found.guess[:, -1].tolist() == own.engine.logits(ids).argmax(-1).tolist()
    assert (found.rank[:, -1] == 1).all()


@pytest.mark.parametrize("precision", ["float32", "float16", "int8", "int4"])
def test_in_every_precision_the_last_stage_is_what_is_written(precision: str) -> None:
    engine = load("tiny", precision)
    ids = engine.encode("Once upon a time there was a king who")
    found = engine.lens(ids)
    assert found.precision == engine.precision
    logits = engine.logits(ids)
    assert found.guess[:, -1].tolist() == logits.argmax(-1).tolist()
    exact = torch.from_numpy(logits).double().softmax(-1).numpy().max(-1)
    np.testing.assert_allclose(found.probability[:, -1], exact, rtol=1e-4)
    # How far the float32 head is from the packed one is told, not hidden.
    assert found.deviation < {"float32": 2e-5, "float16": 0.05}.get(engine.precision, 1.0)


def test_whole_layers_alone_are_every_second_stage() -> None:
    own = pair("odd")
    ids = own.ids()
    both, whole = own.engine.lens(ids), own.engine.lens(ids, halves=False)
    assert whole.stages == both.stages[::2]
    assert np.array_equal(whole.guess, both.guess[:, ::2])
    assert np.array_equal(whole.rank, both.rank[:, ::2])


def test_some_positions_are_those_of_all() -> None:
    own = pair("odd")
    ids = own.ids(40)
    every = own.engine.lens(ids)
    found = own.engine.lens(ids, positions=[31, 4, 39])
    assert found.positions == (4, 31, 39)
    assert np.array_equal(found.guess, every.guess[[4, 31, 39]])


def test_a_long_text_comes_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gpt2.interpret.lens._NUMBERS", 1)
    engine = small_engine()
    ids = list(range(1, 300))
    told: list[tuple[int, int]] = []
    found = engine.lens(ids, progress=lambda done, of: told.append((done, of)))
    assert found.guess.shape == (299, 5)
    assert told[0] == (0, 299)
    assert told[-1] == (299, 299)
    assert [done for done, _ in told] == sorted(done for done, _ in told)


def test_the_stream_of_a_run_reads_as_the_text_does() -> None:
    engine = small_engine()
    events = list(engine.stream([1, 2, 3], new_tokens=6, residual=True))
    written = [event.token for event in events if event.token is not None]
    stream = np.concatenate([each.residual for each in events if each.residual is not None])
    guess, probability, rank = lens_of_stream(engine.readout, stream)
    whole = engine.lens([1, 2, 3, *written[:-1]])
    assert np.array_equal(guess, whole.guess)
    np.testing.assert_allclose(probability, whole.probability, atol=1e-5)
    assert np.array_equal(rank, whole.rank)


def test_it_settles_where_the_guess_no_longer_changes() -> None:
    guess = np.array([[1, 2, 3, 3, 3], [3, 3, 3, 3, 3], [3, 3, 1, 3, 3], [1, 1, 1, 1, 3]])
    assert settled(guess).tolist() == [2, 0, 3, 4]


def test_stages_have_the_names_of_the_page() -> None:
    assert stage_names(2, True) == ("embedding", "1 attention", "1", "2 attention", "2")
    assert stage_names(2, False) == ("embedding", "1", "2")


def test_a_stop_ends_it() -> None:
    with pytest.raises(Stopped):
        small_engine().lens([1, 2, 3], stopped=lambda: True)


@pytest.mark.parametrize("position", [-1, 3])
def test_a_position_outside_is_refused(position: int) -> None:
    with pytest.raises(ValueError, match="Position must be from 0 to 2"):
        small_engine().lens([1, 2, 3], positions=[position])
