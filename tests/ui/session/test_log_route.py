"""The route of logs: held open or asked again, by one or many, quick or slow."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import numpy as np
import pytest
import uvicorn
from gradio import http_server
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette

from gpt2 import SamplingOptions
from gpt2.interpret.row_codec import to_levels
from gpt2.residency import Residency
from gpt2.sampling import GREEDY
from gpt2.trace import parse, replay
from gpt2.ui import build as page
from gpt2.ui.session import log_route
from gpt2.ui.session.attention_requests import EXAMPLE_TEXT, FORGOTTEN, AttentionRequests
from gpt2.ui.session.log_route import LogRoute
from gpt2.ui.session.maps import MODES, MapView, map_rows
from gpt2.ui.session.playground import Playground, Visitor
from gpt2.ui.session.requests import Request
from gpt2.ui.session.run_log import RunLog
from gpt2.ui.session.runner import SORRY, Runner
from gpt2.ui.session.wire import Frame, Kind, frames_in, pack_rows, tokens_in
from tests.examples import examples
from tests.small import CONFIG, slowly, small_engine, until

ENGINE = small_engine()
HEADS, LAYERS = CONFIG.num_heads, CONFIG.num_blocks
PLAYGROUND = Playground(Runner(Residency(10**9, lambda *_: ENGINE), 2))
ASKED = AttentionRequests(PLAYGROUND)
ROUTE = LogRoute(ASKED, PLAYGROUND.logs)


def written(prompt: str = "The fox was not at home.", new_tokens: int = 12) -> RunLog:
    visitor = Visitor()
    list(PLAYGROUND.generate(Request(prompt, "tiny", new_tokens, SamplingOptions(seed=1)), visitor))
    assert visitor.log
    log = visitor.log
    assert until(lambda: not log.running)
    return log


LOG = written()
IDS = LOG.ids


def absent(size: str, ids: list[int], read: int) -> RunLog:
    log = RunLog(
        size,
        GREEDY,
        ids,
        1,
        LAYERS,
        HEADS,
        read=read,
        tokenizer=ENGINE.tokenizer,
        context=CONFIG.max_seq_len,
    )
    PLAYGROUND.logs.add(log)
    return log


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    config = uvicorn.Config(Starlette(routes=ROUTE.routes()), port=0, log_level="warning")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    assert until(lambda: server.started)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join()


@pytest.fixture(scope="module")
def client(url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=url, timeout=30, trust_env=False) as client:
        yield client


def read(client: httpx.Client, log: RunLog, **query: object) -> list[Frame]:
    answer = client.get(f"/runs/{log.id}", params={k: str(v) for k, v in query.items()})
    assert answer.status_code == 200
    return frames_in(answer.content)


def of_kind(frames: list[Frame], kind: Kind) -> list[Frame]:
    return [frame for frame in frames if frame.kind == kind]


def ids_in(frames: list[Frame]) -> list[int]:
    return [r.token for f in of_kind(frames, Kind.TOKENS) for r in tokens_in(f.payload)]


def rows_in(frames: list[Frame]) -> bytes:
    return b"".join(frame.payload for frame in of_kind(frames, Kind.ROWS))


def said(frames: list[Frame], kind: Kind) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(of_kind(frames, kind)[-1].payload)
    return found


def error_of(frames: list[Frame]) -> str:
    return str(said(frames, Kind.END).get("error", ""))


def test_a_text_that_is_written_is_one_answer_that_no_proxy_keeps(client: httpx.Client) -> None:
    answer = client.get(f"/runs/{LOG.id}", params={"view": "head.1.2", "heads": "0"})
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["x-accel-buffering"] == "no"
    assert answer.headers["cache-control"] == "no-store"
    assert "content-encoding" not in answer.headers
    frames = frames_in(answer.content)
    assert [frame.kind for frame in frames] == [
        Kind.SHAPE, Kind.TOKENS, Kind.STATUS, Kind.ROWS, Kind.HEADS, Kind.END,
    ]  # fmt: skip
    shape, status = said(frames, Kind.SHAPE), said(frames, Kind.STATUS)
    assert (shape["layers"], shape["heads"], shape["run"]) == (LAYERS, HEADS, LOG.id)
    assert shape["view"] == {"mode": "head", "layer": 1, "head": 2, "plain": False}
    assert (status["state"], status["n"], status["read"]) == ("done", len(IDS), len(IDS) - 1)
    assert ids_in(frames) == IDS
    true = ENGINE.attention_rows(IDS[:-1], 1)[2]
    expected = b"".join(to_levels(row[: i + 1]).tobytes() for i, row in enumerate(true))
    assert max(abs(a - b) for a, b in zip(rows_in(frames), expected, strict=True)) <= 1
    assert error_of(frames) == ""


def test_who_has_everything_gets_nothing(client: httpx.Client) -> None:
    frames = read(client, LOG, **{"from": len(IDS)}, view="head.0.0", rows=LOG.read, heads=LOG.read)
    assert [frame.kind for frame in frames] == [Kind.SHAPE, Kind.STATUS, Kind.END]


def growing(new_tokens: int, seconds: float = 0.003) -> RunLog:
    """A log that somebody writes from now on."""
    hold_up = slowly(seconds)
    log = absent("tiny", ENGINE.encode("The fox"), 0)
    writer = object()
    ids = log.begin(writer, GREEDY, new_tokens)

    def write() -> None:
        for event in ENGINE.stream(ids, GREEDY, new_tokens, attention=log.wanted):
            hold_up(0)
            log.put(writer, event)

    threading.Thread(target=write, daemon=True).start()
    return log


def test_held_open_it_brings_what_is_written_and_ends_with_it(client: httpx.Client) -> None:
    log = growing(60)
    pieces: list[bytes] = []
    query = {"view": "head.0.1", "heads": "0", "hold": "1"}
    with client.stream("GET", f"/runs/{log.id}", params=query) as answer:
        for piece in answer.iter_raw():
            pieces.append(piece)
    frames = frames_in(b"".join(pieces))
    assert len(of_kind(frames, Kind.TOKENS)) > 3
    assert ids_in(frames) == log.ids
    assert len(log.ids) == len(ENGINE.encode("The fox")) + 60
    assert rows_in(frames) == rows_in(read(client, log, view="head.0.1"))
    assert frames[-1].kind == Kind.END
    assert said(frames, Kind.STATUS)["state"] == "done"


def test_asked_again_it_is_the_same_as_held_open(client: httpx.Client) -> None:
    log, frames = growing(40), list[Frame]()
    while True:
        ids, rows = len(ids_in(frames)), sum(f.count for f in of_kind(frames, Kind.ROWS))
        frames += read(client, log, **{"from": ids}, view="head.1.0", rows=rows)
        if said(frames, Kind.STATUS)["state"] == "done":
            break
    assert ids_in(frames) == log.ids
    assert rows_in(frames) == rows_in(read(client, log, view="head.1.0"))


def test_many_read_one_text_while_it_is_written(url: str) -> None:
    log = growing(60)

    def whole(number: int) -> tuple[list[int], bytes]:
        with httpx.Client(base_url=url, timeout=30, trust_env=False) as client:
            view = f"head.{number % LAYERS}.{number % HEADS}"
            frames = read(client, log, view=view, heads=0, hold=1)
        return ids_in(frames), rows_in(frames)

    with ThreadPoolExecutor(24) as readers:
        found = list(readers.map(whole, range(24)))
    assert {tuple(ids) for ids, _ in found} == {tuple(log.ids)}
    for number, (_, rows) in enumerate(found):
        view = MapView(number % LAYERS, number % HEADS)
        assert rows == pack_rows(map_rows(log.capture, view, 0, log.read) or [])


def test_a_reader_who_takes_nothing_holds_up_nobody_and_misses_nothing(url: str) -> None:
    log = growing(280, 0.001)
    host, port = url.removeprefix("http://").split(":")
    with socket.socket() as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.connect((host, int(port)))
        query = "view=head.1.1&heads=0&hold=1"
        slow.sendall(
            f"GET /runs/{log.id}?{query} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode()
        )
        assert until(lambda: not log.running, 30)
        parts = []
        while part := slow.recv(65536):
            parts.append(part)
    head, _, body = b"".join(parts).partition(b"\r\n\r\n")
    assert b"200 OK" in head
    frames = frames_in(unchunked(body))
    assert ids_in(frames) == log.ids
    assert rows_in(frames) == pack_rows(map_rows(log.capture, MapView(1, 1), 0, log.read) or [])
    assert len(of_kind(frames, Kind.TOKENS)) < 150  # later, and more at once


def unchunked(body: bytes) -> bytes:
    parts = []
    while body:
        size, _, body = body.partition(b"\r\n")
        parts.append(body[: int(size, 16)])
        body = body[int(size, 16) + 2 :]
    return b"".join(parts)


def test_a_reader_who_leaves_is_no_longer_counted(client: httpx.Client) -> None:
    log = growing(2000, 0.005)
    with client.stream("GET", f"/runs/{log.id}", params={"view": "head.0.0", "hold": "1"}) as held:
        next(held.iter_raw())
        assert log._readers == 1
    assert until(lambda: log._readers == 0)
    assert until(lambda: ROUTE.reading == 0)


def test_silence_is_a_sign_of_life(client: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_route, "_ALIVE", 0.02)
    log, writer = absent("tiny", [1, 2], 0), object()
    log.begin(writer, GREEDY, 5)
    threading.Timer(0.3, log.fail, (writer, "It broke.")).start()
    frames = read(client, log, hold=1)
    assert len(of_kind(frames, Kind.ALIVE)) > 2
    assert said(frames, Kind.STATUS)["note"] == "It broke."


def test_several_texts_come_in_one_answer(client: httpx.Client) -> None:
    one, other = growing(20), growing(30)
    query = {
        "ids": f"{one.id},{other.id},{'0' * 32}",
        "from": "0,1,0",
        "view": "head.0.0,,head.0.0",
        "hold": "1",
    }
    frames = frames_in(client.get("/runs", params=query).content)
    by_index = [[frame for frame in frames if frame.index == index] for index in range(3)]
    assert ids_in(by_index[0]) == one.ids
    assert ids_in(by_index[1]) == other.ids[1:]
    assert rows_in(by_index[0])
    assert not rows_in(by_index[1])
    assert error_of(by_index[2]) == FORGOTTEN
    assert [error_of(each) for each in by_index[:2]] == ["", ""]


@pytest.mark.parametrize("wrong", ["0" * 32, "x", "%00", "a" * 900])
def test_an_id_that_is_none_gets_a_sentence(client: httpx.Client, wrong: str) -> None:
    for address in (f"/runs/{wrong}", f"/runs?ids={wrong}", f"/runs?ids={wrong},{wrong}"):
        answer = client.get(address)
        assert answer.status_code == 404
        assert answer.json() == {"error": FORGOTTEN}


def test_too_many_at_once_and_none_are_refused(client: httpx.Client) -> None:
    assert client.get("/runs").status_code == 404
    assert client.get("/runs", params={"ids": ",".join([LOG.id] * 9)}).status_code == 404


def test_a_dropped_log_gets_a_sentence(client: httpx.Client) -> None:
    log = written("Once", 3)
    log.used -= 10**6
    answer = client.get(f"/runs/{log.id}")
    assert (answer.status_code, answer.json()) == (404, {"error": FORGOTTEN})


words = st.text("0123456789.,-x head²٣", max_size=12) | st.sampled_from(["9" * 30, "1e9", "head"])


@examples(60)
@given(start=words, view=words, rows=words, heads=words)
def test_places_are_clamped_whatever_they_are(
    client: httpx.Client, start: str, view: str, rows: str, heads: str
) -> None:
    frames = read(client, LOG, **{"from": start}, view=view, rows=rows, heads=heads)
    shape = said(frames, Kind.SHAPE)
    assert 0 <= shape["view"]["layer"] < LAYERS
    assert 0 <= shape["view"]["head"] < HEADS
    assert error_of(frames) == ""
    assert ids_in(frames) == IDS[len(IDS) - len(ids_in(frames)) :]


@pytest.mark.parametrize("mode", MODES)
def test_every_map_can_be_read(client: httpx.Client, mode: str) -> None:
    frames = read(client, LOG, view=f"{mode}.1.2", rows=3)
    plain = mode in ("max", "all_max")
    expected = {"mode": mode, "layer": 1, "head": 2, "plain": plain}
    assert said(frames, Kind.SHAPE)["view"] == expected
    assert len(rows_in(frames)) == sum(range(4, LOG.read + 1))


def test_a_map_that_this_model_has_not_is_the_usual_one(client: httpx.Client) -> None:
    for view in ("head", "head.99.99", "head.x.y"):
        shown = said(read(client, LOG, view=view), Kind.SHAPE)["view"]
        assert (shown["layer"], shown["head"]) == (LAYERS // 2, 0)


def test_rows_too_many_for_one_frame_come_in_several(
    client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = rows_in(read(client, LOG, view="head.0.0"))
    monkeypatch.setattr(log_route, "_PIECE", 5)
    frames = read(client, LOG, view="head.0.0", heads=0)
    assert len(of_kind(frames, Kind.ROWS)) > 5
    assert rows_in(frames) == whole
    assert of_kind(frames, Kind.HEADS)


def test_rows_that_are_not_kept_are_made_anew(client: httpx.Client) -> None:
    before = rows_in(read(client, LOG, view="head.1.0"))
    LOG.capture.clear()
    after = rows_in(read(client, LOG, view="head.1.0"))
    assert max(abs(a - b) for a, b in zip(after, before, strict=True)) <= 1


@pytest.mark.parametrize("mode", MODES)
def test_of_a_long_text_the_map_to_be_seen_comes_first_and_the_others_after(
    client: httpx.Client, mode: str
) -> None:
    ids = [(7 * i * i + 3) % CONFIG.vocab_size for i in range(300)]
    whole, log = absent("tiny", ids, 299), absent("tiny", ids, 299)
    whole.capture.rebuild(ENGINE, ids[:299])
    frames = read(client, log, view=f"{mode}.1.2", rows=40, heads=0)
    view = MapView(1, 2, mode)  # type: ignore[arg-type]  # one of MODES
    expected = pack_rows(map_rows(whole.capture, view, 40, 299) or [])
    found, right = (np.frombuffer(rows, np.uint8) for rows in (rows_in(frames), expected))
    assert abs(found.astype(int) - right).max() <= 1
    assert [f.count for f in of_kind(frames, Kind.MAPS)] == [299]
    assert log.capture.rows(0, 299) is not None


def test_the_example_is_one_log_for_everybody(client: httpx.Client) -> None:
    log = ASKED.example()
    assert ASKED.example() is log
    frames = read(client, log, view="head", heads=0)
    shape = said(frames, Kind.SHAPE)
    assert (shape["example"], shape["view"]["layer"]) == (True, LAYERS - 1)
    assert 0 < shape["row"] < len(log.ids)
    assert ids_in(frames) == ENGINE.encode(EXAMPLE_TEXT)


def test_a_model_that_left_memory_is_not_loaded_for_a_read(client: httpx.Client) -> None:
    log = absent("small", [1, 2], 1)
    frames = read(client, log, view="head.0.0")
    assert ids_in(frames) == [1, 2]
    assert "no longer in memory" in error_of(frames)


def test_an_error_on_the_server_shows_no_trace_and_no_id(
    client: httpx.Client, caplog: pytest.LogCaptureFixture
) -> None:
    broken = absent("tiny", [1, 2], 1)
    broken.capture.rebuild = None  # type: ignore[assignment,method-assign]  # a fault of ours
    assert error_of(read(client, broken, view="head.0.0")) == SORRY
    assert "a read failed" in caplog.text
    assert broken.id not in caplog.text


def test_a_log_is_saved_as_a_trace_that_can_be_computed_again(
    client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gpt2.ui.session.attention_requests.weights_of", lambda size: "ab" * 32)
    log = written("The fox sat", 9)
    log.capture.clear()
    answer = client.get(f"/runs/{log.id}/trace")
    trace = parse(answer.content)
    assert (trace.ids, trace.prompt, trace.weights) == (tuple(log.ids), log.prompt, "ab" * 32)
    assert trace.precision == ENGINE.precision
    assert replay(ENGINE, trace).same_ids == 9
    assert client.get(f"/runs/{'0' * 32}/trace").json() == {"error": FORGOTTEN}
    absent_log = absent("small", [1, 2], 1)
    assert "no longer in memory" in client.get(f"/runs/{absent_log.id}/trace").json()["error"]


def test_ids_stand_in_no_log_of_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_server, "uvicorn", http_server.uvicorn)  # put back afterwards
    page._bound_connections()
    config = vars(http_server)["uvicorn"].Config(Starlette(), log_level="info")
    assert config.access_log is False
