"""What the inspector is told of a text: the engine's own numbers, and nothing for junk."""

from __future__ import annotations

import base64
import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpt2 import SamplingOptions, Tokenizer
from gpt2.interpret.row_codec import to_levels
from gpt2.residency import Residency
from gpt2.sampling import softmax
from gpt2.ui.session import inspect_requests
from gpt2.ui.session.attention_requests import AttentionRequests
from gpt2.ui.session.frames import Value
from gpt2.ui.session.inspect_requests import InspectRequests, _other_cut, heads_of
from gpt2.ui.session.playground import Playground, Visitor
from gpt2.ui.session.requests import Request
from gpt2.ui.session.run_log import RunLog
from gpt2.ui.session.runner import Runner
from gpt2.ui.session.wire import wire_tokens
from tests.examples import examples
from tests.small import CONFIG, Passes, small_engine, until
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
    requests = InspectRequests(PLAYGROUND.runner)
    for start in range(5):
        requests.answer(engine, RUN, {"want": "choices", "start": start})
    requests.answer(engine, RUN, {"want": "shade"})
    assert passes.count == 1


def test_no_more_texts_are_kept_than_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inspect_requests, "_MOST_TEXTS", 2)
    requests = InspectRequests(PLAYGROUND.runner)
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
    assert answer["stages"] == ["embedding", "1 attention", "1", "2 attention", "2"]
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


def swept(want: str, **fields: object) -> dict[str, Any]:
    """The result of what is begun by one question and told of by the next ones."""

    answers: list[Value] = []

    def told() -> bool:
        answers.append(asked(want, **fields))
        return "done" not in answers[-1]

    assert until(told, 60)
    result: dict[str, Any] = answers[-1]["result"]
    return result


def test_shares_of_the_lead_sum_to_the_true_difference() -> None:
    place = len(RUN.ids) - 1
    answer = asked("shares", at=place)
    logits = np.concatenate(list(ENGINE.logits_by_piece(RUN.ids[:place], place - 1)))[0]
    token, against = RUN.ids[place], answer["against"]
    assert answer["names"] == wire_tokens(ENGINE.tokenizer, [token, against])
    assert answer["true"] == pytest.approx(float(logits[token] - logits[against]), abs=1e-4)
    parts = [answer[name] for name in ("embedding", "position", "final_bias", "rounding")]
    parts += [*answer["biases"], *answer["mlps"], *itertools.chain(*answer["heads"])]
    assert sum(parts) == pytest.approx(answer["true"], abs=1e-4)
    assert answer["total"] == pytest.approx(answer["true"], abs=1e-4)
    assert np.shape(answer["heads"]) == (CONFIG.num_blocks, CONFIG.num_heads)
    other = asked("shares", at=place, against=(token + 1) % 300)
    assert other["against"] == (token + 1) % 300
    assert "against itself" in asked("shares", at=place, against=token)["error"]


def test_a_sweep_says_what_each_head_changes_and_that_its_control_is_nothing() -> None:
    place = len(RUN.ids) - 2
    found = swept("effects", at=place)
    token = RUN.ids[place]
    assert found["share"] == pytest.approx(raw(place)[token])
    assert (found["measured"], found["control"]) == (CONFIG.num_blocks * CONFIG.num_heads, 0)
    for layer, head in np.ndindex(np.shape(found["bits"])):
        without = raw(place, ((layer, head),))[token]
        assert found["shares"][layer][head] == pytest.approx(without, abs=1e-4)
        bits = -np.log2(without / raw(place)[token])
        assert found["bits"][layer][head] == pytest.approx(bits, abs=1e-3)
    assert found["sum_bits"] == pytest.approx(np.sum(found["bits"]), abs=1e-3)
    assert found["joint_bits"] != pytest.approx(found["sum_bits"], abs=1e-3)
    mean = swept("effects", at=place, instead="mean")
    assert mean["bits"] != found["bits"]


def test_the_whole_text_by_layers_is_the_lens_of_every_token() -> None:
    found = swept("grid")
    lens = ENGINE.lens(RUN.ids[:-1], halves=False)
    assert found["stages"] == list(lens.stages)
    assert found["n"] == len(RUN.ids)
    which = np.frombuffer(base64.b64decode(found["guess"]), "<u2")
    tokens = [found["tokens"][i] for i in which]
    assert tokens == wire_tokens(ENGINE.tokenizer, lens.guess.ravel().tolist())
    shares = np.frombuffer(base64.b64decode(found["shares"]), np.uint8) / 255
    np.testing.assert_allclose(shares, lens.probability.ravel(), atol=0.002)


def test_the_newest_token_is_told_from_the_stream_that_was_written_with() -> None:
    run = RunLog("tiny", OPTIONS, list(RUN.ids), RUN.prompt, RUN.layers, RUN.heads)
    requests = InspectRequests(PLAYGROUND.runner)
    wanted = {"want": "layers", "newest": True}
    assert requests.answer(ENGINE, run, wanted)["at"] is None  # from now on it is kept
    assert run.live_until > 0
    for event in ENGINE.stream(run.ids[:9], OPTIONS, 1, residual=lambda: True):
        if event.token is not None and event.residual is not None:
            run.stream = 9, event.residual[-1]
    live = requests.answer(ENGINE, run, wanted)
    whole = requests.answer(ENGINE, run, {"want": "layers", "at": 9})
    assert live.pop("newest") is True
    assert live == whole


def test_a_token_is_told_with_its_bytes_and_merges_and_beside_another_vocabulary() -> None:
    for place, token in enumerate(RUN.ids):
        answer = asked("token", at=place)
        data = ENGINE.tokenizer.token_bytes(token)
        assert (answer["id"], bytes(answer["bytes"])) == (token, data)
        leaves = [answer["merges"]]
        while any(each["parts"] for each in leaves):
            leaves = [part for each in leaves for part in each["parts"] or [each]]
        assert len(leaves) == len(data)
        own = sum(len(piece["own"]) for piece in answer["pieces"])
        if answer["counts"]:
            assert sum(piece["here"] for piece in answer["pieces"]) == 1
            assert 0 < own <= answer["counts"][0] <= len(RUN.ids)


def test_a_text_in_two_vocabularies_says_the_same() -> None:
    tokenizer = Tokenizer(8192)
    for text in ("The tokenization of a caf\u00e9 \U0001f94a.", "a", "wonderfully " * 30):
        ids = tokenizer.encode(text)
        for place in range(len(ids)):
            cut = _other_cut(tokenizer, ids, place, 50257)
            pieces = cut["pieces"]
            assert cut["counts"] == [len(ids), len(Tokenizer().encode(text))]
            assert sum(each["here"] for each in pieces) == 1
            for each in pieces:
                said = [
                    b"".join(
                        token.encode() if isinstance(token, str) else bytes.fromhex(token["hex"])
                        for token in each[name]
                    )
                    for name in ("own", "other")
                ]
                assert said[0] == said[1]
    broken = tokenizer.encode("\U0001f94a")[:1]
    assert _other_cut(tokenizer, broken, 0, 50257) == {"pieces": [], "counts": None}


def test_swapped_positions_give_the_rows_of_a_text_read_so() -> None:
    answer = asked("sink", at=3, view={"mode": "head", "layer": 1, "head": 2})
    assert (answer["at"], answer["n"]) == (3, RUN.read)
    packed = np.frombuffer(base64.b64decode(answer["rows"]), np.uint8)
    found: dict[int, np.ndarray] = {}

    def see(layer: int, first: int, rows: np.ndarray, norms: np.ndarray) -> None:
        if layer == 1:
            found[first] = rows[2]

    ENGINE.read(RUN.ids[: RUN.read], see, swapped=(0, 3))
    (rows,) = found.values()
    expected = [to_levels(rows[None, i : i + 1, : i + 1])[0, 0] for i in range(RUN.read)]
    np.testing.assert_array_equal(packed, np.concatenate(expected))
    plain = ENGINE.attention_rows(RUN.ids[: RUN.read], 1)[2]
    assert np.abs(plain - rows).max() > 0.01  # it does make a difference
    for k, swapped in enumerate((None, (0, 3))):
        every: dict[int, np.ndarray] = {}
        ENGINE.read(
            RUN.ids[: RUN.read],
            lambda layer, first, rows, norms, every=every: every.update({layer: rows}),
            swapped=swapped,
        )
        given = np.stack(list(every.values()))[:, :, 4:].mean(axis=(0, 1, 2))
        assert answer["shares"]["first"][k] == pytest.approx(given[0], abs=0.005)
        assert answer["shares"]["at"][k] == pytest.approx(given[3], abs=0.005)
    again = asked("sink", at=3, view={"mode": "mean", "layer": 0})
    assert again["view"]["mode"] == "mean"
    assert "No later token" in asked("sink", at=len(RUN.ids) - 1)["error"]


def test_a_patch_tells_how_much_of_the_answer_comes_back() -> None:
    tokenizer = ENGINE.tokenizer
    prompt = tokenizer.decode(RUN.ids[: RUN.prompt])
    other = prompt.replace("fox", "cat")
    while len(tokenizer.encode(other)) != RUN.prompt:
        other += "s"
    found = swept("patch", prompt=other)
    expected = ENGINE.patching(RUN.ids[: RUN.prompt], tokenizer.encode(other))
    np.testing.assert_allclose(found["restored"], expected.restored, atol=1e-4)
    assert found["control"] == 0
    assert found["answers"] == wire_tokens(tokenizer, [expected.answer, expected.against])
    assert "as long as each other" in asked("patch", prompt=prompt + " and")["error"]
    assert "must be text" in asked("patch")["error"]


def test_the_mean_stands_in_where_it_is_asked_for() -> None:
    place, off = len(RUN.ids) - 2, ((0, 1), (1, 2))
    answer = asked("off", at=place, off=[list(head) for head in off], instead="mean")
    means = ENGINE.head_means(RUN.ids[: RUN.prompt], off)
    (row,) = np.concatenate(list(ENGINE.logits_by_piece(RUN.ids[:place], place - 1, means)))
    expected = softmax(row.astype(np.float64))[RUN.ids[place]]
    assert answer["shares"][1] == pytest.approx(expected, rel=1e-3)
    assert answer["shares"][1] != asked("off", at=place, off=[[0, 1], [1, 2]])["shares"][1]


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
    st.sampled_from(["choices", "shade", "layers", "off", "shares", "token", "sink", "patch"])
    | junk,
    junk,
    junk,
    junk | st.integers(),
)
def test_any_junk_gets_an_answer(want: object, start: object, off: object, at: object) -> None:
    answer = ASKED.inspect({"run": RUN.id, "want": want, "start": start, "off": off, "at": at})
    assert answer.get("run") == RUN.id or "went wrong" not in answer["error"]
