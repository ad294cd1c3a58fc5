"""What is done to an answer on its way out: pages name their scripts, and travel compressed."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import (
    HTMLResponse,
    JSONResponse,
    PlainTextResponse,
    Response,
    StreamingResponse,
)
from starlette.routing import Route
from starlette.testclient import TestClient
from starlette.types import Message, Receive, Scope, Send

from gpt2.serving.incoming import MOST_BYTES
from gpt2.ui.gradio_patches.first_scripts import with_first_scripts
from gpt2.ui.session import guard
from gpt2.ui.session.admission import Readers
from gpt2.ui.session.guard import Guard
from gpt2.ui.session.requests import MOST_CHARACTERS
from tests.asynchronous import run as run_async

SCRIPT = b"let one = '\xc3\xa9';"
PAGE = b"<!doctype html><base href='./'><p>" + 999 * b"x" + b"</p><script>" + SCRIPT + b"</script>"


async def page(_: Request) -> Response:
    return HTMLResponse(PAGE)


async def pieces(_: Request) -> Response:
    return StreamingResponse((PAGE[at : at + 100] for at in range(0, len(PAGE), 100)), 200, None,
                             "text/html")  # fmt: skip


async def numbers(_: Request) -> Response:
    return JSONResponse({"x": "y" * 999})


@pytest.fixture
def client() -> TestClient:
    routes = [
        Route("/", page),
        Route("/panel/pieces", pieces),
        Route("/panel/a.html", page),
        Route("/config", numbers),
    ]
    return TestClient(Starlette(routes=routes, middleware=[Middleware(Guard)]))


@pytest.mark.parametrize("path", ["/", "/panel/pieces"])
@pytest.mark.parametrize("encoding", ["gzip", "gzip, deflate, br", "identity"])
def test_a_page_is_whole_and_as_small_as_the_browser_reads(
    client: TestClient, path: str, encoding: str
) -> None:
    answer = client.get(path, headers={"Accept-Encoding": encoding})
    assert answer.content == with_first_scripts(PAGE)
    zipped = {"gzip": "gzip", "gzip, deflate, br": "br"}.get(encoding)
    assert answer.headers.get("content-encoding") == zipped
    assert answer.headers.get("vary") == ("Accept-Encoding" if zipped else None)
    sent = int(answer.headers["content-length"])
    assert sent < 400 if zipped else sent == len(answer.content)


def test_only_scripts_that_stand_in_the_page_may_run(client: TestClient) -> None:
    policy = client.get("/").headers["content-security-policy"]
    digest = base64.b64encode(hashlib.sha256(SCRIPT).digest()).decode()
    assert policy.endswith(f"script-src 'self' 'unsafe-eval' 'sha256-{digest}'")


@pytest.mark.parametrize("path", ["/panel/a.html", "/config"])
def test_what_is_no_page_of_ours_is_not_compressed_here(client: TestClient, path: str) -> None:
    assert "content-encoding" not in client.get(path).headers


def test_a_closed_route_says_nothing(client: TestClient) -> None:
    assert client.get("/gradio_api/upload").status_code == 404


async def echo(request: Request) -> Response:
    client = request.client
    body = await request.body()
    return JSONResponse({"body": body.decode(), "client": client and client.host})


@pytest.fixture
def echoing(monkeypatch: pytest.MonkeyPatch) -> TestClient:
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "*")
    routes = [Route("/gradio_api/call/x", echo, methods=["POST"])]
    return TestClient(Starlette(routes=routes, middleware=[Middleware(Guard)]))


def test_a_forged_address_is_not_believed(echoing: TestClient) -> None:
    for forged in ("1.1.1.1", "2.2.2.2, 3.3.3.3"):
        headers = {"X-Forwarded-For": f"{forged}, 9.9.9.9, 10.1.2.3"}
        answer = echoing.post("/gradio_api/call/x", json={}, headers=headers)
        assert answer.json()["client"] == "9.9.9.9"


def test_half_an_emoji_never_comes_further(echoing: TestClient) -> None:
    answer = echoing.post(
        "/gradio_api/call/x", content=rb'{"data": ["\ud83e", "\u0000", "\ud83e\udd8a"]}'
    )
    assert json.loads(answer.json()["body"]) == {"data": ["\ufffd", "\ufffd", "🦊"]}
    plain = '{"data":  ["é"]}'
    assert echoing.post("/gradio_api/call/x", content=plain.encode()).json()["body"] == plain


@pytest.mark.parametrize(
    ("body", "status", "sentence"),
    [
        (b'"' + MOST_BYTES * b"x" + b'"', 413, "What was sent has 650 kB; at most 650 kB can be"),
        (b"{", 400, "no JSON that can be read"),
        (b"[" * 100_000, 400, "no JSON that can be read"),
        (b'{"session_hash": "' + 65 * b"x" + b'"}', 400, "A session hash has 1 to 64"),
    ],
    ids=["large", "broken", "deep", "session"],
)
def test_a_refusal_is_json_with_a_sentence(
    echoing: TestClient, body: bytes, status: int, sentence: str
) -> None:
    answer = echoing.post("/gradio_api/call/x", content=body)
    assert answer.status_code == status
    assert sentence in answer.json()["detail"]
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("path", ["queue/data?session_hash=" + "x" * 65, "heartbeat/" + "x" * 65])
def test_a_long_session_hash_is_not_kept_from_an_address_either(
    client: TestClient, path: str
) -> None:
    assert client.get(f"/gradio_api/{path}").status_code == 400


def test_a_context_of_the_longest_tokens_fits() -> None:
    prompt = "\U0001f98a" * MOST_CHARACTERS
    assert len(json.dumps(prompt, ensure_ascii=False).encode()) < MOST_BYTES
    ascii_only = json.dumps("é" * MOST_CHARACTERS)
    assert len(ascii_only) < MOST_BYTES


async def begin(guarded: Guard, address: str, statuses: list[tuple[str, int]], size: int) -> None:
    """A request that sends so much and then nothing more."""
    sent: list[Message] = [{"type": "http.request", "body": bytes(size), "more_body": True}]

    async def receive() -> Message:
        if not sent:
            await asyncio.Future()
        return sent.pop()

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            statuses.append((address, message["status"]))

    length = (b"content-length", str(MOST_BYTES).encode())
    scope = {"type": "http", "method": "POST", "path": "/gradio_api/call/x", "headers": [length]}
    await guarded({**scope, "client": (address, 1)}, receive, send)


def test_bodies_that_never_arrive_hold_little_and_stop_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(guard, "_SECONDS_TO_SEND", 0.2)
    monkeypatch.setattr(guard, "_MOST_HELD", 8 * MOST_BYTES)
    statuses: list[tuple[str, int]] = []

    async def all_at_once() -> None:
        guarded = Guard(Starlette())
        crowd = [begin(guarded, "9.9.9.9", statuses, MOST_BYTES - 1) for _ in range(20)]
        others = [begin(guarded, "8.8.8.8", statuses, size) for size in (0, 9, MOST_BYTES - 1)]
        await asyncio.gather(*crowd, *others)
        await begin(guarded, "9.9.9.9", statuses, MOST_BYTES - 1)  # what did not arrive is let go
        assert not guarded._held

    run_async(all_at_once())
    assert statuses.count(("9.9.9.9", 503)) == 14
    assert statuses.count(("9.9.9.9", 408)) == 7
    assert statuses.count(("8.8.8.8", 408)) == 3


def test_one_address_does_not_hold_every_connection_with_streams(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(guard, "_STREAMS_EACH", 3)
    statuses: list[int] = []

    async def open_stream(guarded: Guard, address: str) -> None:
        async def receive() -> Message:
            return {"type": "http.request", "body": b""}

        async def send(message: Message) -> None:
            if message["type"] == "http.response.start":
                statuses.append(message["status"])

        path = "/gradio_api/heartbeat/abc"
        scope = {"type": "http", "method": "GET", "path": path, "headers": []}
        await guarded({**scope, "client": (address, 1)}, receive, send)

    async def crowd() -> None:
        readers = Readers()
        goes_on = asyncio.Event()

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            assert "abc" in readers
            await goes_on.wait()
            await PlainTextResponse("alive")(scope, receive, send)

        guarded = Guard(app, readers)
        addresses = ["9.9.9.9"] * 10 + ["8.8.8.8"]
        tasks = [asyncio.create_task(open_stream(guarded, address)) for address in addresses]
        while len(statuses) < 7:
            await asyncio.sleep(0)
        goes_on.set()
        await asyncio.gather(*tasks)
        assert "abc" not in readers

    run_async(crowd())
    assert (statuses.count(429), statuses.count(200)) == (7, 4)


def test_a_page_is_not_made_for_who_has_left() -> None:
    made: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        assert (await receive())["type"] == "http.request"
        made.append(scope["who"])
        await PlainTextResponse("page")(scope, receive, send)

    async def ask(guarded: Guard, who: str) -> None:
        messages = [{"type": "http.request", "body": b""}]
        if who == "left":
            messages.append({"type": "http.disconnect"})

        async def receive() -> Message:
            if not messages:
                await asyncio.Future()
            return messages.pop(0)

        async def send(_: Message) -> None:
            await asyncio.sleep(0)

        scope = {"type": "http", "method": "GET", "path": "/", "headers": [], "who": who}
        await guarded(scope, receive, send)

    async def all_at_once() -> None:
        guarded = Guard(app)
        await asyncio.gather(*(ask(guarded, who) for who in ["left"] * 200 + ["stays"]))

    run_async(all_at_once())
    assert made == ["stays"]


def test_who_takes_nothing_keeps_no_other_from_his_page() -> None:
    served: list[str] = []

    async def ask(guarded: Guard, who: str) -> None:
        messages = [{"type": "http.request", "body": b""}]

        async def receive() -> Message:
            if not messages:
                await asyncio.Future()
            return messages.pop()

        async def send(_: Message) -> None:
            if who == "slow":
                await asyncio.Future()
            served.append(who)

        await guarded({"type": "http", "method": "GET", "path": "/", "headers": []}, receive, send)

    async def crowd() -> None:
        guarded = Guard(PlainTextResponse("page"))
        slow = [asyncio.create_task(ask(guarded, "slow")) for _ in range(5)]
        await asyncio.wait_for(ask(guarded, "quick"), 10)
        for task in slow:
            task.cancel()
        await asyncio.gather(*slow, return_exceptions=True)

    run_async(crowd())
    assert set(served) == {"quick"}


def test_a_length_is_said_once(echoing: TestClient) -> None:
    """Both at once is how a second request is smuggled past a proxy."""
    headers = {"Content-Length": "2", "Transfer-Encoding": "chunked"}
    assert echoing.post("/gradio_api/call/x", content=b"{}", headers=headers).status_code == 411


def test_one_address_does_not_take_every_answer() -> None:
    path = "/gradio_api/component_server"
    answers: list[bytes] = []

    async def ask(guarded: Guard, address: str, goes_on: asyncio.Event) -> None:
        async def receive() -> Message:
            return {"type": "http.request", "body": b"{}"}

        async def send(message: Message) -> None:
            answers.append(message.get("body", b""))

        length = (b"content-length", b"2")
        scope = {"type": "http", "method": "POST", "path": path, "headers": [length]}
        await guarded({**scope, "client": (address, 1)}, receive, send)

    async def crowd() -> None:
        goes_on = asyncio.Event()

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await goes_on.wait()
            await PlainTextResponse("rows")(scope, receive, send)

        guarded = Guard(app)
        asked = [ask(guarded, who, goes_on) for who in ["9.9.9.9"] * 20 + ["8.8.8.8"]]
        tasks = [asyncio.create_task(one) for one in asked]
        while len(answers) < 2 * 14:
            await asyncio.sleep(0)
        goes_on.set()
        await asyncio.gather(*tasks)

    run_async(crowd())
    assert sum(b"busy" in answer for answer in answers) == 14
    assert answers.count(b"rows") == 7
