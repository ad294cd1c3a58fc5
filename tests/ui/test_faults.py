"""What breaks in the middle: a model that computes nonsense, a client that stops reading."""

from __future__ import annotations

import json
import socket
import urllib.error
import urllib.request
from urllib.parse import urlsplit

from gradio_client import Client

from gpt2 import SamplingOptions, load
from gpt2.residency import Residency
from gpt2.ui.playground import Playground, Visitor
from gpt2.ui.requests import OFF, Request
from gpt2.ui.runner import Runner
from tests.small import Passes, small_engine, until

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
    wish = Request(PROMPT, "tiny", 30, SamplingOptions(seed=4))
    last = [output for output, _, _ in playground.generate(wish, visitor) if output][-1]
    assert last["state"] == "error"
    assert last["note"].startswith("The model computed something that is no number")
    assert last["n"] == len(engine.encode(PROMPT)) + 8
    assert playground.runner.journal.runs == {("tiny", "NotFinite"): 1}
    assert visitor.run
    again = list(playground.go_on(wish, visitor, visitor.run))
    assert again[-1][0] and again[-1][0]["state"] == "done"


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
