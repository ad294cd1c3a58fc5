"""Nothing a visitor typed reaches the log, on any route; no path of the server reaches him."""

from __future__ import annotations

import asyncio
import gc
import http.client
import json
import logging
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest

from gpt2.serving.log import JsonLines
from gpt2.ui.gradio_patches import discreet
from gpt2.ui.gradio_patches.discreet import discreet_record, show_warning, trace_of
from tests.asynchronous import run as run_async
from tests.browser.server import ROOT, App, serve

MARKER = "Xyzzy7Secret"
ROUTES = (
    "/gradio_api/queue/join",
    "/gradio_api/component_server",
    "/gradio_api/call/{name}",
    "/gradio_api/call/v2/{name}",
    "/gradio_api/run/{name}",
    "/gradio_api/api/{name}",
    "/gradio_api/cancel",
    "/gradio_api/reset",
    "/gradio_api/startup-events",
)
CALLS = ("generate", "attention", "compare", "score", "click_generate", "stop", MARKER)


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    with serve(tmp_path_factory.mktemp("app"), GPT2_LOG="1") as app:
        yield app


def ask(app: App, method: str, path: str, body: bytes | None = None) -> tuple[int, str]:
    address = urlsplit(app.url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=30)
    with closing(connection):
        connection.request(method, path, body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        try:
            said = answer.read()
        except http.client.IncompleteRead as cut:  # of a session whose answers others have read
            said = cut.partial
        return answer.status, said.decode(errors="replace")


def bodies() -> Iterator[bytes]:
    """Ways to be wrong, each with the marker in it."""
    yield MARKER.encode()
    yield b'{"data": ["' + MARKER.encode()
    values: list[Any] = [MARKER, [MARKER], {"a": MARKER}, 7, None]
    datas = [MARKER, {"prompt": MARKER}, [], [MARKER], [MARKER] * 3, [MARKER] * 8, [MARKER] * 20]
    datas += [[value] * 8 for value in values]
    datas += [[MARKER, "tiny", MARKER, 5, 0, 1, 0, "off"], [MARKER, [MARKER]], ["tiny", MARKER, 0]]
    for data in datas:
        yield json.dumps({"data": data, "session_hash": "abc"}).encode()
    yield json.dumps({"prompt": MARKER, "size": MARKER, MARKER: MARKER}).encode()
    yield json.dumps([MARKER]).encode()
    yield json.dumps({"data": [MARKER], "session_hash": MARKER * 9}).encode()
    for fn in (MARKER, "pull", "watch", "roles", "preprocess", "__init__"):
        for component in (MARKER, None, 1, 5, [MARKER]):
            asked = {"component_id": component, "fn_name": fn, "session_hash": "abc"}
            yield json.dumps({"data": {"run": MARKER, "view": MARKER}, **asked}).encode()
    for event in (MARKER, {"text": MARKER, "sizes": [MARKER]}, [MARKER]):
        for index in (*range(45), MARKER, -1, 2**70):
            wanted = {"data": [MARKER], "fn_index": index, "event_data": event}
            yield json.dumps({**wanted, "session_hash": "abc", "trigger_id": 3}).encode()


def test_nothing_typed_reaches_the_log(app: App) -> None:
    for body in bodies():
        large = b"fn_index" in body
        for route in ROUTES[:1] if large else ROUTES:
            for name in CALLS if "{name}" in route else ("",):
                status, answer = ask(app, "POST", route.format(name=name), body)
                assert status != 500, (route, name, body)
                assert '"error": null' not in answer
                told_no_paths(answer)
                if status == 200 and '"event_id"' in answer and "/call/" in route:
                    event = json.loads(answer)["event_id"]
                    told_no_paths(ask(app, "GET", f"/gradio_api/call/{name}/{event}")[1])
    for path in (f"/{MARKER}", f"/?x={MARKER}", f"/panel/{MARKER}", f"/static/{MARKER}"):
        ask(app, "GET", path)
    for path in ("heartbeat/", "queue/data?session_hash=", "call/score/", "info?x=", "file="):
        if path != "heartbeat/":
            ask(app, "GET", f"/gradio_api/{path}{quote(MARKER)}")
    log = app.log.read_text()
    assert MARKER not in log
    assert "a run failed" not in log


def told_no_paths(answer: str) -> None:
    assert str(ROOT) not in answer
    assert "site-packages" not in answer
    assert "Traceback" not in answer


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ([], "The value is missing: prompt."),
        ([MARKER, "tiny", 0, 2], None),
        ([MARKER], None),
    ],
)
def test_missing_values_take_their_defaults_or_are_named(
    app: App, data: list[object], sentence: str | None
) -> None:
    body = json.dumps({"data": data}).encode()
    status, answer = ask(app, "POST", "/gradio_api/call/generate", body)
    assert status == 200
    event = json.loads(answer)["event_id"]
    text = ask(app, "GET", f"/gradio_api/call/generate/{event}")[1]
    if sentence:
        assert sentence in text
    else:
        assert "event: complete" in text
    assert MARKER not in app.log.read_text()


def test_several_missing_values_are_all_named(app: App) -> None:
    body = json.dumps({"data": ["tiny"]}).encode()
    event = json.loads(ask(app, "POST", "/gradio_api/call/attention", body)[1])["event_id"]
    text = ask(app, "GET", f"/gradio_api/call/attention/{event}")[1]
    assert "The values are missing: text, layer, head." in text


def test_a_trace_names_kinds_and_places_alone() -> None:
    try:
        try:
            {}[MARKER]
        except KeyError as error:
            raise ValueError(f"no {MARKER}") from error
    except ValueError as error:
        trace = trace_of(error)
    assert MARKER not in trace
    assert "KeyError\nraised from the above:\n" in trace
    assert trace.endswith("ValueError\n")
    assert Path(__file__).name in trace


def test_what_the_system_says_is_kept() -> None:
    try:
        Path("/nowhere/at/all").read_text()
    except OSError as error:
        assert trace_of(error).endswith("FileNotFoundError: No such file or directory\n")


@pytest.fixture
def records() -> Iterator[logging.Logger]:
    """What this process logs while a page of ours is up."""
    before = logging.getLogRecordFactory()
    logging.setLogRecordFactory(discreet_record)
    discreet._written.clear()
    yield logging.getLogger("gpt2.somewhere")
    logging.setLogRecordFactory(before)


@pytest.mark.parametrize("formatter", [logging.Formatter(), JsonLines()], ids=["words", "json"])
def test_a_fault_of_our_own_is_logged_without_its_message(
    records: logging.Logger, caplog: pytest.LogCaptureFixture, formatter: logging.Formatter
) -> None:
    try:
        raise RuntimeError(MARKER)
    except RuntimeError:
        records.exception("a run failed")
    line = formatter.format(caplog.records[-1])
    assert "a run failed" in line
    assert "RuntimeError" in line
    assert Path(__file__).name in line
    assert MARKER not in line


def test_a_task_that_failed_is_logged_without_what_it_raised(
    records: logging.Logger, caplog: pytest.LogCaptureFixture
) -> None:
    async def fails() -> None:
        raise ValueError(MARKER)

    async def nobody_asks() -> None:
        task = asyncio.create_task(fails())
        await asyncio.wait([task])
        del task
        gc.collect()

    run_async(nobody_asks())
    said = [logging.Formatter().format(record) for record in caplog.records]
    assert any("never retrieved" in line and "ValueError" in line for line in said)
    assert MARKER not in "".join(said)


def test_a_warning_of_gradio_s_does_not_quote(capsys: pytest.CaptureFixture[str]) -> None:
    show_warning(UserWarning(MARKER), UserWarning, "/site-packages/gradio/dropdown.py", 7)
    show_warning(UserWarning("of our own"), UserWarning, "/gpt2/x.py", 8)
    assert capsys.readouterr().err == (
        "/site-packages/gradio/dropdown.py:7: UserWarning\n/gpt2/x.py:8: UserWarning: of our own\n"
    )


def test_the_same_fault_is_traced_once_a_minute(
    records: logging.Logger, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> str:
        try:
            raise RuntimeError(MARKER)
        except RuntimeError:
            records.exception("a run failed")
        return logging.Formatter().format(caplog.records[-1])

    first, *others = [fail() for _ in range(200)]
    assert Path(__file__).name in first
    assert set(others) == {"a run failed\nRuntimeError, as above"}
    monkeypatch.setattr(discreet, "_AGAIN", 0)
    assert fail() == first


@pytest.mark.parametrize("route", ["call", "call/v2", "run", "api"])
def test_a_call_that_nobody_offers_is_no_fault(app: App, route: str) -> None:
    status, answer = ask(app, "POST", f"/gradio_api/{route}/{MARKER}", b'{"data": []}')
    assert (status, json.loads(answer)["detail"]) == (404, "There is no such call.")
