"""What the browser may ask about a run: junk gets an answer, pulled rows are pushed rows."""

from __future__ import annotations

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
from gpt2.interpret.head_roles import measure
from gpt2.residency import Residency
from gpt2.ui.session.attention_requests import AttentionRequests
from gpt2.ui.session.playground import Playground, Visitor
from gpt2.ui.session.requests import Request
from gpt2.ui.session.run_log import RunLog
from gpt2.ui.session.runner import Runner
from tests.examples import examples
from tests.small import CONFIG, small_engine
from tests.ui.writing import ended

ENGINE = small_engine()
HEADS, LAYERS = CONFIG.num_heads, CONFIG.num_blocks
PLAYGROUND = Playground(Runner(Residency(10**9, lambda *_: ENGINE), 2))
ASKED = AttentionRequests(PLAYGROUND)
VISITOR = Visitor()
list(
    PLAYGROUND.generate(
        Request("The fox was not at home.", "tiny", 12, SamplingOptions(seed=1)), VISITOR
    )
)
LOG = ended(VISITOR.log)
junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["run", "view", "want", "at", "probe"]),
            inner,
        )
    ),
    max_leaves=6,
)


@examples(150)
@given(request=junk)
def test_a_request_that_is_none_is_answered(request: object) -> None:
    answer = ASKED.roles(request)
    assert answer == {
        "error": "This text is no longer on the server. Generate it again to look further."
    }
    assert ASKED.inspect(request) == answer


def test_the_example_outlives_any_number_of_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PLAYGROUND.logs, "_most_bytes", 3 * LOG.size_bytes)
    first = ASKED.example()
    for _ in range(20):
        PLAYGROUND.logs.add(log_of([1] * 40, 1))
    assert ASKED.example() is first
    assert PLAYGROUND.logs.get(first.id) is first
    PLAYGROUND.logs.add(LOG)


def log_of(ids: list[int], read: int, size: str = "tiny") -> RunLog:
    return RunLog(size, SamplingOptions(), ids, 1, LAYERS, HEADS, read=read)


def test_an_error_on_the_server_shows_no_trace(caplog: pytest.LogCaptureFixture) -> None:
    broken = log_of([10**9], 1)
    PLAYGROUND.logs.add(broken)
    answer = ASKED.roles({"run": broken.id})
    assert set(answer) == {"error"}
    assert "Traceback" not in answer["error"]


def test_roles_are_those_of_the_text_and_of_the_probe() -> None:
    answer = ASKED.roles({"run": LOG.id})
    assert (answer["n"], answer["probe"]) == (LOG.read, False)
    ids = LOG.ids[: LOG.read]
    roles = measure(np.stack([ENGINE.attention_rows(ids, layer) for layer in range(LAYERS)]), ids)
    np.testing.assert_allclose(answer["scores"]["previous"], roles.previous.reshape(-1), atol=0.01)
    assert answer["repeats"] == roles.repeats
    assert json.loads(json.dumps(answer)) == answer
    probed = ASKED.roles({"run": LOG.id, "probe": True})
    expected = probe(ENGINE, seeds=2).induction.reshape(-1)
    np.testing.assert_allclose(probed["scores"]["induction"], expected, atol=0.001)


def test_a_model_that_left_memory_is_not_loaded_for_a_question() -> None:
    absent = log_of([1, 2], 1, "small")
    PLAYGROUND.logs.add(absent)
    assert "no longer in memory" in ASKED.roles({"run": absent.id, "probe": True})["error"]


def test_a_flood_of_questions_is_refused_not_queued(monkeypatch: pytest.MonkeyPatch) -> None:
    log = log_of([1, 2, 3], 2)
    PLAYGROUND.logs.add(log)
    asked, hold = AttentionRequests(PLAYGROUND), threading.Event()
    slow = asked._measure
    monkeypatch.setattr(asked, "_measure", lambda *asked: hold.wait(10) and slow(*asked))
    with ThreadPoolExecutor(20) as visitors:
        answers = [visitors.submit(asked.roles, {"run": log.id}) for _ in range(20)]
        refused = [answer.result(10) for answer in islice(as_completed(answers), 12)]
        assert {answer["error"] for answer in refused} == {"The server is busy; asking again."}
        hold.set()
    assert sum("scores" in answer.result() for answer in answers) == 8
