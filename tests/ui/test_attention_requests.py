"""What the browser may ask about a run: junk gets an answer, pulled rows are pushed rows."""

from __future__ import annotations

import base64
import json
import threading
from concurrent.futures import ThreadPoolExecutor, as_completed
from itertools import islice

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpt2 import SamplingOptions
from gpt2.head_probe import probe
from gpt2.head_roles import measure
from gpt2.levels import to_levels
from gpt2.residency import Residency
from gpt2.sampling import GREEDY
from gpt2.ui import attention_requests
from gpt2.ui.attention_requests import EXAMPLE_TEXT, AttentionRequests
from gpt2.ui.frames import Value
from gpt2.ui.maps import MODES, MapView, map_rows
from gpt2.ui.playground import Playground, Visitor
from gpt2.ui.requests import Request
from gpt2.ui.runner import Runner
from gpt2.ui.runs import Run
from gpt2.ui.wire import pack_rows, wire_tokens
from tests.examples import examples
from tests.small import CONFIG, small_engine, until

ENGINE = small_engine()
HEADS, LAYERS = CONFIG.num_heads, CONFIG.num_blocks
PLAYGROUND = Playground(Runner(Residency(10**9, lambda *_: ENGINE), 2))
ASKED = AttentionRequests(PLAYGROUND)
VISITOR = Visitor()
FRAMES = list(
    PLAYGROUND.generate(
        Request("The fox was not at home.", "tiny", 12, SamplingOptions(seed=1)), VISITOR
    )
)
RUN = VISITOR.run or pytest.fail("there is no run")
junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["run", "view", "layer", "mode", "start", "tokens_from", "atlas", "probe"]
            ),
            inner,
        )
    ),
    max_leaves=6,
)
places = st.integers() | st.integers(-3, 40) | junk


def pull(**fields: object) -> Value:
    return ASKED.pull({"run": RUN.id, **fields})


def rows_in(answer: Value) -> bytes:
    return base64.b64decode(answer["rows"])


def rows_of(layer: int, start: int = 0, head: int = 0) -> bytes:
    rows = map_rows(RUN.capture, MapView(layer, head), start, RUN.read)
    return pack_rows(rows or [])


def view(layer: object = 0, head: object = 0, mode: object = "head") -> dict[str, object]:
    return {"layer": layer, "head": head, "mode": mode}


def test_pulled_rows_are_the_rows_that_were_pushed() -> None:
    pushed = b"".join(rows_in(attention) for _, attention, _ in FRAMES if attention)
    pulled = rows_in(pull(view=view(RUN.layer), start=0))
    assert pulled == pushed
    true = ENGINE.attention_rows(RUN.ids[: RUN.read], RUN.layer)[0]
    expected = b"".join(to_levels(row[: i + 1]).tobytes() for i, row in enumerate(true))
    assert max(abs(a - b) for a, b in zip(pulled, expected, strict=True)) <= 1


@pytest.mark.parametrize("layer", range(LAYERS))
@pytest.mark.parametrize("start", [0, 3, RUN.read - 1])
def test_any_layer_can_be_pulled_from_any_row_on(layer: int, start: int) -> None:
    answer = pull(view=view(layer), start=start, tokens_from=2)
    assert (answer["run"], answer["view"]["layer"], answer["start"]) == (RUN.id, layer, start)
    assert (answer["layers"], answer["heads"], answer["n"]) == (LAYERS, HEADS, RUN.read)
    assert rows_in(answer) == rows_of(layer, start)
    assert answer["tokens"] == wire_tokens(ENGINE.tokenizer, RUN.ids[2:])
    assert answer["tokens_start"] == 2


def test_who_has_everything_gets_nothing() -> None:
    answer = pull(view=view(), start=RUN.read, tokens_from=len(RUN.ids))
    assert (answer["rows"], answer["tokens"]) == ("", [])


def test_rows_too_many_for_one_answer_come_in_several(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attention_requests, "_MOST_BYTES", 5)
    start, packed, answers = 0, b"", 0
    while start < RUN.read:
        piece = rows_in(pull(view=view(), start=start))
        assert piece
        packed += piece
        while start < RUN.read and len(packed) >= (start + 1) * (start + 2) // 2:
            start += 1
        answers += 1
    assert packed == rows_of(0)
    assert answers > 5


@examples(150)
@given(layer=places, start=places, tokens_from=places)
def test_places_are_clamped_whatever_they_are(
    layer: object, start: object, tokens_from: object
) -> None:
    answer = pull(view=view(layer, layer), start=start, tokens_from=tokens_from)
    assert "error" not in answer
    at = answer["view"]
    assert 0 <= at["layer"] < LAYERS
    assert 0 <= at["head"] < HEADS
    assert 0 <= answer["start"] <= RUN.read
    assert 0 <= answer["tokens_start"] <= len(RUN.ids)
    assert rows_in(answer) == rows_of(at["layer"], answer["start"], at["head"])
    assert json.loads(json.dumps(answer)) == answer
    ASKED.watch({"run": RUN.id, "view": view(layer, start)})
    assert 0 <= RUN.layer < LAYERS
    assert 0 <= RUN.head < HEADS
    assert type(at["layer"]) is type(answer["start"]) is int


@examples(150)
@given(request=junk)
def test_a_request_that_is_none_is_answered(request: object) -> None:
    answer = ASKED.pull(request)
    assert answer == {
        "error": "This text is no longer on the server. Generate it again to look further."
    }
    assert ASKED.roles(request) == answer
    assert ASKED.watch(request) == {}


@pytest.mark.parametrize(("asked", "seconds"), [(120, 0.12), (10_000, 0.25), (-1, 0), ("x", 0)])
def test_a_browser_says_how_long_it_draws(asked: object, seconds: float) -> None:
    ASKED.watch({"run": RUN.id, "view": view(), "spare": asked})
    assert RUN.spare == seconds


def test_a_layer_is_watched_from_the_next_token_on() -> None:
    visitor = Visitor()
    wish = Request("The fox", "tiny", 200, SamplingOptions(seed=1))
    layers = []
    for _, attention, _ in PLAYGROUND.generate(wish, visitor):
        if attention:
            layers.append(attention["view"]["layer"])
            if visitor.run and len(layers) == 1:
                ASKED.watch({"run": visitor.run.id, "view": view(0)})
    assert layers[0] == 1
    assert set(layers[1:]) == {0}


def test_the_example_is_one_run_for_everybody_and_can_be_pulled() -> None:
    first, again = ASKED.example(), ASKED.example()
    assert first == again
    assert first["example"]
    answer = ASKED.pull({"run": first["run"], "view": first["view"], "atlas": True})
    ids = ENGINE.encode(EXAMPLE_TEXT)
    assert answer["tokens"] == wire_tokens(ENGINE.tokenizer, ids)
    true = ENGINE.attention_rows(ids, first["view"]["layer"])[0]
    assert rows_in(answer) == b"".join(to_levels(r[: i + 1]).tobytes() for i, r in enumerate(true))
    assert answer["maps_n"] == len(ids)


def test_nobody_changes_which_map_of_the_example_others_see() -> None:
    first = ASKED.example()
    ASKED.watch({"run": first["run"], "view": view(0, 1, "mean"), "on": False})
    assert ASKED.example() == first


def test_the_example_outlives_any_number_of_runs() -> None:
    first = ASKED.example()
    for _ in range(499):
        PLAYGROUND.runs.add(Run("tiny", SamplingOptions(), [1], 1, LAYERS, HEADS))
    assert "error" not in ASKED.pull({"run": first["run"]})
    PLAYGROUND.runs.add(RUN)


def test_an_error_on_the_server_shows_no_trace(caplog: pytest.LogCaptureFixture) -> None:
    broken = Run("tiny", SamplingOptions(), [10**9], 1, LAYERS, HEADS, read=1)
    PLAYGROUND.runs.add(broken)
    answer = ASKED.pull({"run": broken.id})
    assert set(answer) == {"error"}
    assert "Traceback" not in answer["error"]


@pytest.mark.parametrize("mode", MODES)
def test_every_map_can_be_pulled(mode: str) -> None:
    answer = pull(view=view(1, 2, mode), start=3)
    assert answer["view"] == {**view(1, 2, mode), "plain": mode in ("max", "all_max")}
    assert len(rows_in(answer)) == sum(range(4, RUN.read + 1))


def test_rows_that_are_not_kept_are_made_anew() -> None:
    before = rows_in(pull(view=view(1)))
    RUN.capture.clear()
    after = rows_in(pull(view=view(1)))
    assert max(abs(a - b) for a, b in zip(after, before, strict=True)) <= 1


@pytest.mark.parametrize("mode", MODES)
def test_of_a_long_text_the_map_to_be_seen_comes_first_and_the_others_after(mode: str) -> None:
    ids = [(7 * i * i + 3) % CONFIG.vocab_size for i in range(300)]
    whole, run = (Run("tiny", GREEDY, ids, 5, LAYERS, HEADS, read=299) for _ in range(2))
    whole.capture.rebuild(ENGINE, ids[:299])
    PLAYGROUND.runs.add(run)
    view = {"layer": 1, "head": 2, "mode": mode}
    answer = ASKED.pull({"run": run.id, "view": view, "start": 40, "tokens_from": 0})
    expected = pack_rows(map_rows(whole.capture, MapView(**view), 40, 299) or [])
    found, right = (np.frombuffer(rows, np.uint8) for rows in (rows_in(answer), expected))
    assert abs(found.astype(int) - right).max() <= 1
    assert until(lambda: run.capture.rows(0, 299) is not None)
    assert "maps" in ASKED.pull({"run": run.id, "view": view, "start": 299, "atlas": True})


def test_roles_are_those_of_the_text_and_of_the_probe() -> None:
    answer = ASKED.roles({"run": RUN.id})
    assert (answer["n"], answer["probe"]) == (RUN.read, False)
    ids = RUN.ids[: RUN.read]
    roles = measure(np.stack([ENGINE.attention_rows(ids, layer) for layer in range(LAYERS)]), ids)
    np.testing.assert_allclose(answer["scores"]["previous"], roles.previous.reshape(-1), atol=0.01)
    assert answer["repeats"] == roles.repeats
    assert json.loads(json.dumps(answer)) == answer
    probed = ASKED.roles({"run": RUN.id, "probe": True})
    expected = probe(ENGINE, seeds=2).induction.reshape(-1)
    np.testing.assert_allclose(probed["scores"]["induction"], expected, atol=0.001)


def test_a_model_that_left_memory_is_not_loaded_for_a_pull() -> None:
    absent = Run("small", SamplingOptions(), [1, 2], 1, LAYERS, HEADS, read=1)
    PLAYGROUND.runs.add(absent)
    assert "no longer in memory" in ASKED.pull({"run": absent.id})["error"]


def test_a_flood_of_pulls_is_refused_not_queued(monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run("tiny", SamplingOptions(), [1, 2, 3], 1, LAYERS, HEADS, read=2)
    PLAYGROUND.runs.add(run)
    asked, hold = AttentionRequests(PLAYGROUND), threading.Event()
    slow = asked._pull
    monkeypatch.setattr(asked, "_pull", lambda *asked: hold.wait(10) and slow(*asked))
    with ThreadPoolExecutor(20) as visitors:
        answers = [visitors.submit(asked.pull, {"run": run.id}) for _ in range(20)]
        refused = [answer.result(10) for answer in islice(as_completed(answers), 12)]
        assert {answer["error"] for answer in refused} == {"The server is busy; asking again."}
        hold.set()
    assert sum("rows" in answer.result() for answer in answers) == 8
