"""Calls for scripts that are asked the wrong way are told what is wrong, and end."""

from __future__ import annotations

import http.client
import json
import logging
import time
from contextlib import closing
from urllib.parse import urlsplit

import gradio as gr
import pytest
from gradio import queueing, utils

V2 = "/gradio_api/call/v2/"


def ask(
    url: str, method: str, path: str, body: object = None, **headers: str
) -> tuple[int, str, str]:
    """Status, kind and text of an answer. A body that is no bytes is sent as JSON."""
    address = urlsplit(url)
    sent = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=30)
    with closing(connection):
        connection.putrequest(method, path, skip_host="Host" in headers)
        for name, value in ({"Content-Type": "application/json"} | headers).items():
            connection.putheader(name.replace("_", "-"), value)
        if sent is not None:
            connection.putheader("Content-Length", str(len(sent)))
        connection.endheaders(sent)
        answer = connection.getresponse()
        return answer.status, answer.headers.get_content_type(), answer.read().decode()


TAKES = "generate takes prompt, size, temperature, new_tokens, top_k, top_p, seed, draft_with, off."


@pytest.mark.parametrize(
    ("call", "body", "status", "sentence"),
    [
        ("generate", {}, 400, f"The value is missing: prompt. {TAKES}"),
        ("generate/", {}, 400, f"The value is missing: prompt. {TAKES}"),
        ("generate", {"prompt": "a", "sise": "tiny"}, 400, f"There is no value 'sise'. {TAKES}"),
        ("generate", {"data": ["a"]}, 400, f"There is no value 'data'. {TAKES}"),
        ("generate", {"prompt": "a", "session_hash": "b"}, 400, "There is no value 'session_hash'"),
        ("generate", {"x" * 5000: 1}, 400, f"There is no value '{40 * 'x'}…'."),
        (
            "attention",
            {"size": "tiny"},
            400,
            "The values are missing: text, layer, head. attention",
        ),
        ("compare", {}, 400, "missing: "),
        ("score", {}, 400, "missing: "),
        ("generate", [], 400, "The values must be an object"),
        ("generate", "prompt", 400, "The values must be an object"),
        ("generate", None, 400, "no JSON that can be read"),
        ("click_generate", {}, 404, "There is no such call."),
        ("predict", {}, 404, "There is no such call."),
        ("nothing", {}, 404, "There is no such call."),
    ],
)
def test_values_by_name(url: str, call: str, body: object, status: int, sentence: str) -> None:
    sent = b"" if body is None else body
    code, kind, text = ask(url, "POST", V2 + call, sent)
    assert (code, kind) == (status, "application/json")
    assert sentence in json.loads(text)["detail"]


FILE = {"path": "/etc/passwd", "meta": {"_type": "gradio.FileData"}}


@pytest.mark.parametrize(
    ("route", "body", "status", "sentence"),
    [
        ("call/predict", {"data": []}, 404, "There is no such call."),
        ("run/predict", {"data": []}, 400, "The value is missing: fn_index."),
        ("run/predict", {"data": [], "fn_index": 10**30}, 404, "There is no such call."),
        ("run/predict", {"data": [], "fn_index": -1}, 404, "There is no such call."),
        ("run/predict", {"data": [], "fn_index": "3"}, 404, "There is no such call."),
        ("api/generate", {"data": [], "fn_index": 999}, 404, "There is no such call."),
        ("call/generate", {"data": [FILE]}, 415, "Files are not taken."),
        ("call/generate", {"data": [[{"a": FILE}]]}, 415, "Files are not taken."),
        ("call/v2/generate", {"prompt": FILE}, 415, "Files are not taken."),
    ],
)
def test_what_cannot_be_called(
    url: str, route: str, body: object, status: int, sentence: str
) -> None:
    code, _, text = ask(url, "POST", f"/gradio_api/{route}", body)
    assert code == status
    assert sentence in json.loads(text)["detail"]
    written = json.dumps(body).replace("File", "\\u0046ile").encode()
    assert ask(url, "POST", f"/gradio_api/{route}", written)[0] == status


@pytest.mark.parametrize("number", ["NaN", "-Infinity", "1e400"])
@pytest.mark.parametrize(
    ("route", "body", "field"),
    [
        ("call/generate", '{"prompt": "a", "top_p": %s}', "data"),
        ("run/generate", '{"data": [], "fn_index": null, "trigger_id": %s}', "trigger_id"),
        ("queue/join", '{"data": [], "fn_index": %s, "session_hash": "abc"}', "fn_index"),
        ("cancel", '{"fn_index": %s}', ""),
        ("reset", '{"event_id": %s}', ""),
    ],
)
def test_numbers_that_no_json_can_repeat(
    url: str, route: str, body: str, field: str, number: str
) -> None:
    code, kind, text = ask(url, "POST", f"/gradio_api/{route}", (body % number).encode())
    assert (code, kind) == (422, "application/json")
    assert json.loads(text)["detail"].startswith(field)
    assert number.lower() not in text.lower()


def test_what_the_browser_does_alone_cannot_be_called(url: str) -> None:
    config = json.loads(ask(url, "GET", "/config")[2])
    alone = [each["id"] for each in config["dependencies"] if not each["backend_fn"]]
    assert alone
    for number in (*alone, True):
        for route in ("run/predict", "api/generate"):
            body = {"data": [], "fn_index": number}
            code, _, text = ask(url, "POST", f"/gradio_api/{route}", body)
            assert (code, json.loads(text)["error"]) == (404, "There is no such call.")


def test_a_refusal_waits_for_nothing_more(url: str) -> None:
    """Of a request that has been read there is no rest to come."""
    began = time.monotonic()
    for body in ({}, {"prompt": FILE}):
        ask(url, "POST", f"{V2}nothing", body)
    assert time.monotonic() - began < 8  # the rest of another is waited for for 10 seconds


def test_a_fault_of_gradio_s_is_a_sentence_too(url: str) -> None:
    payload = queueing.error_payload(KeyError("a secret"), False)
    assert payload == {"error": "The call failed on the server, by a fault of its own. Try again."}
    assert queueing.error_payload is utils.error_payload
    assert queueing.error_payload(gr.Error("told"), False)["error"] == "told"
    assert queueing.error_payload(None, False) == {"error": None}


def test_values_by_name_that_are_right_write_a_text(url: str) -> None:
    code, _, text = ask(url, "POST", f"{V2}generate", {"prompt": "Once", "new_tokens": 2})
    assert code == 200
    event = json.loads(text)["event_id"]
    said = ask(url, "GET", f"{V2}generate/{event}")[2]
    assert said.count("event: complete") == 1


def test_a_second_reader_is_told_so(url: str) -> None:
    for path in ("/gradio_api/call/generate", V2 + "generate"):
        body = {"prompt": "Once"} if "v2" in path else {"data": ["Once", "tiny", 0, 2]}
        event = json.loads(ask(url, "POST", path, body)[2])["event_id"]
        assert "event: complete" in ask(url, "GET", f"{path}/{event}")[2]
        for again in (f"{path}/{event}", f"{path}/{event}/", f"/gradio_api/call/v2/{event}"):
            code, kind, text = ask(url, "GET", again)
            assert (code, kind) == (404, "text/plain")
            assert text == "There is no such call, or its answers have been read."


def test_two_readers_at_once_are_told_so(url: str) -> None:
    body = {"data": ["Once", "tiny", 1, 400]}
    event = json.loads(ask(url, "POST", "/gradio_api/call/generate", body)[2])["event_id"]
    address = urlsplit(url)
    first = http.client.HTTPConnection(address.hostname or "", address.port, timeout=30)
    with closing(first):
        first.request("GET", f"/gradio_api/call/generate/{event}")
        reading = first.getresponse()
        assert reading.readline().startswith(b"event: generating")
        code, _, text = ask(url, "GET", f"/gradio_api/call/generate/{event}")
        assert (code, text) == (409, "The answers of this call are being read already.")
        assert b"event: complete" in reading.read()


@pytest.mark.parametrize("path", ["/", "/config", "/gradio_api/info", "/nothing", "/assets/x.js"])
@pytest.mark.parametrize("length", [9_000, 62_000])
@pytest.mark.parametrize("where", ["path", "query"])
def test_an_endless_address_is_refused(url: str, path: str, length: int, where: str) -> None:
    address = path + length * "a" if where == "path" else f"{path}?x={length * 'a'}"
    code, kind, text = ask(url, "GET", address)
    assert (code, kind) == (414, "text/plain")
    assert text.endswith("at most 8,000 are read.")


def test_an_address_as_long_as_any_should_be_is_read(url: str) -> None:
    assert ask(url, "GET", f"/config?x={7_900 * 'a'}")[0] == 200


@pytest.mark.parametrize("path", ["/", "/config", "/gradio_api/info"])
def test_endless_headers_are_refused(url: str, path: str) -> None:
    for headers in ({"Cookie": 40_000 * "a"}, {f"X-{n}": 400 * "a" for n in range(100)}):
        code, _, text = ask(url, "GET", path, **headers)
        assert code == 431
        assert text.endswith("at most 32,000 are read.")


@pytest.mark.parametrize("path", ["/", "/config", "/gradio_api/info"])
@pytest.mark.parametrize("header", ["Host", "X-Forwarded-Host"])
@pytest.mark.parametrize(
    "host",
    ["[", "[::1", "a b", "a/b", "a:b", "a:999999", "h\xe9", "<script>", "a" * 300, "a@b", "%"],
)
def test_a_host_that_is_none_is_refused(url: str, path: str, header: str, host: str) -> None:
    code, kind, text = ask(url, "GET", path, **{header: host})
    assert (code, kind) == (400, "text/plain")
    assert text == f"The header {header.lower()} names no host."


@pytest.mark.parametrize("host", ["[::1]:7860", "my_host.local", "a.example:80, b.example", ""])
def test_a_host_that_is_one_is_served(url: str, host: str) -> None:
    assert ask(url, "GET", "/config", X_Forwarded_Host=host)[0] == 200


@pytest.mark.parametrize("path", ["/", "/config", "/gradio_api/info"])
def test_there_is_one_page(url: str, path: str) -> None:
    assert ask(url, "GET", f"{path}?page=")[0] == 200
    for page in ("nope", "%00", "a&page=b"):
        code, _, text = ask(url, "GET", f"{path}?page={page}")
        assert (code, text) == (404, "There is one page here.")


def test_a_session_that_nobody_knows_is_told_and_ends(
    url: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("uvicorn"), "propagate", True)
    code, kind, text = ask(url, "GET", "/gradio_api/queue/data?session_hash=nobody")
    assert (code, kind) == (200, "text/event-stream")
    assert '"session_not_found":true' in text
    assert not [each for each in caplog.records if each.levelname == "ERROR"]
