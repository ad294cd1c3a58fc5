"""What the inspector is told of a text: the engine's own numbers, and nothing for junk."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpt2 import SamplingOptions
from gpt2.residency import Residency
from gpt2.sampling import softmax
from gpt2.ui import inspect_requests
from gpt2.ui.attention_requests import AttentionRequests
from gpt2.ui.frames import Value
from gpt2.ui.inspect_requests import InspectRequests, heads_of
from gpt2.ui.playground import Playground, Visitor
from gpt2.ui.requests import Request
from gpt2.ui.run_log import RunLog
from gpt2.ui.runner import Runner
from gpt2.ui.wire import wire_tokens
from tests.examples import examples
from tests.small import CONFIG, Passes, small_engine
from tests.ui.writing import ended

OPTIONS = SamplingOptions(temperature=0.7, top_k=5, seed=1)
ENGINE = small_engine()
PLAYGROUND = Playground(Runner(Residency(10**9, lambda *_: ENGINE), 2))
ASKED = AttentionRequests(PLAYGROUND)
VISITOR = Visitor()
list(PLAYGROUND.generate(Request("The fox was not at home.", "tiny", 12, OPTIONS), VISITOR))
RUN = ended(VISITOR.log)


def asked(want: str, **fields: object) -> Value:
    return ASKED.inspect({"run": RUN.id, "want": want, **fields})


def raw(place: int, off: tuple[tuple[int, int], ...] = ()) -> np.ndarray:
    """What the model expects at a place, by plain logits."""
    (row,) = np.concatenate(list(ENGINE.logits_by_piece(RUN.ids[:place], place - 1, off)))
    return softmax(row.astype(np.float64))


def test_choices_are_the_models_probabilities_before_and_after() -> None:
    answer = asked("choices", start=0)
    assert (answer["run"], answer["start"], answer["before"]) == (RUN.id, 0, False)
    assert answer["sampling"] == {"temperature": 0.7, "top_k": 5, "top_p": 1.0}
    assert len(answer["choices"]) == len(RUN.ids)
    assert answer["choices"][0] is None  # nothing stood before it
    for place, choice in enumerate(answer["choices"][1:], 1):
        expected = raw(place)
        listed = choice["likeliest"]
        (chosen,) = [each for each in listed if each["chosen"]]
        assert chosen["id"] == RUN.ids[place]
        assert chosen["token"] == wire_tokens(ENGINE.tokenizer, [RUN.ids[place]])[0]
        for each in listed:
            assert each["shares"][0] == pytest.approx(expected[each["id"]], rel=2e-3)
        assert choice["bits"] == pytest.approx(-np.log2(expected[RUN.ids[place]]), abs=0.01)
        for k in (0, 1):
            total = sum(each["shares"][k] for each in listed) + choice["rest"][k]
            assert total == pytest.approx(1, abs=3e-3)
        assert choice["kept"] == 5
        cut = [each for each in listed if each["cut"]]
        assert {each["cut"] for each in cut} == {"removed by top-k"}
        assert all(each["shares"][1] == 0 for each in cut)


def test_the_first_token_has_a_choice_where_an_end_of_text_stands_before_it() -> None:
    answer = asked("choices", start=0, before=True)
    without = asked("choices", start=0)
    assert answer["choices"][0] is not None
    assert answer["choices"][5]["bits"] != without["choices"][5]["bits"]


def test_a_long_text_comes_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inspect_requests, "_MOST_PLACES", 4)
    whole = [asked("choices", start=start)["choices"] for start in range(0, len(RUN.ids), 4)]
    assert [len(block) for block in whole[:-1]] == [4] * (len(whole) - 1)
    assert sum(map(len, whole)) == len(RUN.ids)


def test_a_text_is_read_once_for_all_its_tokens() -> None:
    engine = small_engine()
    passes = Passes(engine)
    requests = InspectRequests()
    for start in range(5):
        requests.answer(engine, RUN, {"want": "choices", "start": start})
    requests.answer(engine, RUN, {"want": "shade"})
    assert passes.count == 1


def test_no_more_texts_are_kept_than_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inspect_requests, "_MOST_TEXTS", 2)
    requests = InspectRequests()
    for _ in range(4):
        run = RunLog("tiny", OPTIONS, RUN.ids, RUN.prompt, RUN.layers, RUN.heads)
        requests.answer(ENGINE, run, {"want": "shade"})
    assert len(requests._known) == 2


def test_shades_are_surprisals_and_ranks() -> None:
    answer = asked("shade")
    assert answer["bits"][0] is answer["ranks"][0] is None
    for place in range(1, len(RUN.ids)):
        expected = raw(place)
        own = expected[RUN.ids[place]]
        assert answer["bits"][place] == pytest.approx(-np.log2(own), abs=0.02)
        assert answer["ranks"][place] == 1 + int((expected > own).sum())


def test_the_last_layer_says_what_the_model_says() -> None:
    place = len(RUN.ids) - 1
    answer = asked("layers", at=place)
    assert answer["stages"] == ["embedding", "1", "2"]
    expected = raw(place)
    assert answer["guesses"][-1] == wire_tokens(ENGINE.tokenizer, [int(expected.argmax())])[0]
    assert answer["shares"][-1] == pytest.approx(expected.max(), rel=1e-3)
    assert answer["ranks"][-1] == 1
    assert asked("layers", at=0)["stages"] == []


def test_heads_off_change_what_the_engine_says_they_change() -> None:
    place, off = len(RUN.ids) - 2, ((0, 1), (1, 2))
    answer = asked("off", at=place, off=[[1, 2], [0, 1]])
    token = RUN.ids[place]
    expected = [raw(place)[token], raw(place, off)[token]]
    assert answer["shares"] == pytest.approx(expected, rel=1e-3)
    assert expected[0] != expected[1]
    nothing = asked("off", at=place, off=[])
    assert nothing["shares"][0] == nothing["shares"][1]
    assert "first token" in asked("off", at=0, off=[[0, 0]])["error"]


@pytest.mark.parametrize(
    "junk", [[[0]], [[0, CONFIG.num_heads]], [[-1, 0]], [[True, 0]], [["0", 0]], [[0.0, 0]], [None]]
)
def test_a_head_that_is_not_there_is_refused(junk: object) -> None:
    with pytest.raises(ValueError, match="does not have"):
        heads_of(junk, RUN)


def test_heads_are_named_once_and_in_order() -> None:
    assert heads_of([[1, 2], [0, 1], [1, 2]], RUN) == ((0, 1), (1, 2))
    assert heads_of(None, RUN) == ()


junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=5,
)


@examples(60)
@given(
    st.sampled_from(["choices", "shade", "layers", "off"]) | junk, junk, junk, junk | st.integers()
)
def test_any_junk_gets_an_answer(want: object, start: object, off: object, at: object) -> None:
    answer = ASKED.inspect({"run": RUN.id, "want": want, "start": start, "off": off, "at": at})
    assert answer.get("run") == RUN.id or "went wrong" not in answer["error"]
