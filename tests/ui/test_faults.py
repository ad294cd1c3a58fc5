"""What goes wrong: nonsense computed, no time left, a slow load, a client that stops reading."""

from __future__ import annotations

import json
import socket
import threading
import urllib.error
import urllib.request
from types import SimpleNamespace
from urllib.parse import urlsplit

import pytest
from gradio_client import Client

from gpt2 import Engine, SamplingOptions, load
from gpt2.residency import Residency
from gpt2.ui.session.limits import Limits
from gpt2.ui.session.playground import Playground, Visitor
from gpt2.ui.session.requests import OFF, Request
from gpt2.ui.session.runner import Runner
from tests.small import Passes, small_engine, until
from tests.ui.writing import outputs

PROMPT = "It was late, and the fox was not at home."
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def test_numbers_that_are_none_end_the_text_with_a_sentence_and_keep_it() -> None:
    engine = small_engine()
    good = engine.model.ln_f.bias.clone()

    def harm(number: int) -> None:
        engine.model.ln_f.bias.fill_(float("nan") if number == 9 else 0)
        if number != 9:
            engine.model.ln_f.bias.copy_(good)

    Passes(engine, harm)
    playground = Playground(Runner(Residency(10**9, lambda *_: engine), 2))
    visitor = Visitor()
    wanted = Request(PROMPT, "tiny", 30, SamplingOptions(seed=4))
    last = outputs(playground, playground.generate(wanted, visitor))[-1]
    assert last["state"] == "error"
    assert last["note"].startswith("The model computed something that is no number")
    assert last["n"] == len(engine.encode(PROMPT)) + 8
    assert until(lambda: not playground.runner.statistics.entries)
    assert playground.runner.statistics.runs == {("tiny", "NotFinite"): 1}
    assert visitor.log
    again = outputs(playground, playground.go_on(wanted, visitor, visitor.log))
    assert again[-1]["state"] == "done"


def test_a_run_ends_when_its_time_is_up_and_keeps_its_text(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    engine = small_engine()
    passes = Passes(engine)
    # A clock on which every pass takes a twentieth of a second.
    clock = SimpleNamespace(monotonic=lambda: passes.count / 20)
    monkeypatch.setattr("gpt2.ui.session.runner.time", clock)
    runner = Runner(Residency(10**9, lambda *_: engine), 2, Limits(seconds=1))
    visitor = Visitor()
    wanted = Request(PROMPT, "tiny", 300, SamplingOptions(seed=4))
    playground = Playground(runner)
    last = outputs(playground, playground.generate(wanted, visitor))[-1]
    assert last["state"] == "stopped"
    assert last["note"].startswith("The time limit for one text is reached.")
    assert visitor.log
    written = visitor.log.ids[visitor.log.prompt :]
    assert 19 <= len(written) <= 21
    assert written == engine.generate_ids(engine.encode(PROMPT), len(written), wanted.options)
    assert until(lambda: not runner.statistics.entries)
    assert runner.statistics.runs == {("tiny", "time"): 1}


def test_the_built_in_model_answers_while_another_is_still_loading() -> None:
    gate = threading.Event()

    def slow_but_for_tiny(name: str, _: object) -> Engine:
        assert name == "tiny" or gate.wait(60)
        return small_engine()

    playground = Playground(Runner(Residency(10**9, slow_but_for_tiny), 1))
    options = SamplingOptions(seed=4)
    big = playground.generate(Request(PROMPT, "mini", 5, options), Visitor())
    _, status = next(big)
    assert status == "Mini · loading"
    small = playground.generate(Request(PROMPT, "tiny", 5, options), Visitor())
    assert outputs(playground, small)[-1]["state"] == "done"
    assert next(big)[1] == "Mini · loading"
    gate.set()
    assert outputs(playground, big)[-1]["state"] == "done"


def requests_going_on(url: str) -> int:
    with DIRECT.open(url + "health", timeout=20) as reply:
        return sum(json.load(reply)["requests"].values())


def test_a_client_that_stops_reading_holds_nobody_up(url: str) -> None:
    assert until(lambda: ready(url), 30)
    body = json.dumps({"data": ["Once upon a time", "tiny", 0.8, 500, 0, 1, 1, OFF]}).encode()
    call = url + "gradio_api/call/generate"
    asked = urllib.request.Request(call, body, {"Content-Type": "application/json"})
    with DIRECT.open(asked, timeout=20) as reply:
        event = json.load(reply)["event_id"]
    address = urlsplit(url)
    with socket.socket() as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
        deaf.connect((address.hostname, address.port))
        deaf.sendall(f"GET {urlsplit(call).path}/{event} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        client = Client(url, verbose=False, analytics_enabled=False)
        text = client.submit("Once", "tiny", 0.8, 30, 0, 1.0, 2, api_name="/generate").result(60)
        client.close()
        assert text == load("tiny").complete("Once", SamplingOptions(0.8, seed=2), 30)
        assert until(lambda: requests_going_on(url) == 0, 60), "a run nobody reads never ends"


def ready(url: str) -> bool:
    try:
        return requests_going_on(url) >= 0
    except urllib.error.HTTPError as loading:
        loading.close()
        return False
