"""Nobody fills the queue, whoever means to; and what nobody reads is not kept."""

from __future__ import annotations

import json
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from gpt2.serving.incoming import MOST_BYTES
from gpt2.ui import build as page
from gpt2.ui import build_page, launch
from gpt2.ui.session import admission
from gpt2.ui.session.admission import Readers
from gpt2.ui.session.limits import Limits
from tests.browser.server import free_port
from tests.small import until

DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
EACH = Limits().per_address


class Served:
    """A page, its queue, and plain calls to it, with what it does made slow."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("FORWARDED_ALLOW_IPS", "*")
        self.page = build_page()
        self.goes_on = threading.Event()
        self.begun = 0
        for fn in self.page.fns.values():
            if fn.api_name == "score":
                fn.fn = self._slow
        port = free_port()
        where = {"server_name": "127.0.0.1", "server_port": port}
        launch(self.page, prevent_thread_lock=True, quiet=True, **where)
        self.url = f"http://127.0.0.1:{port}/gradio_api/"

    def _slow(self, *_: object) -> list[object]:
        self.begun += 1
        self.goes_on.wait(30)
        return []

    @property
    def readers(self) -> Readers:
        return page._readers[self.page]

    @property
    def queue(self) -> Any:
        return self.page._queue

    def post(
        self, call: str, data: object, address: str = "9.9.9.9", **more: object
    ) -> tuple[int, Any]:
        request = urllib.request.Request(
            self.url + call,
            json.dumps({"data": data, **more}).encode(),
            {"Content-Type": "application/json", "X-Forwarded-For": address},
        )
        try:
            with DIRECT.open(request, timeout=20) as reply:
                return reply.status, json.load(reply)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)

    def read(self, path: str) -> str:
        with DIRECT.open(self.url + path, timeout=20) as reply:
            text: str = reply.read().decode()
        return text

    def fn_index(self, name: str) -> int:
        return next(i for i, fn in self.page.fns.items() if fn.api_name == name)


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    served = Served(monkeypatch)
    yield served
    served.goes_on.set()
    served.page.close()


def test_one_address_does_not_fill_the_queue(served: Served) -> None:
    answers = [served.post("call/score", ["x", ["tiny"]]) for _ in range(EACH + 20)]
    assert [status for status, _ in answers] == [200] * EACH + [429] * 20
    assert f"{EACH} calls from your address" in answers[-1][1]["detail"]
    assert served.post("call/score", ["x", ["tiny"]], address="8.8.8.8")[0] == 200
    # The page's own small calls have a lane of their own.
    count = {"fn_index": served.fn_index("count_tokens"), "session_hash": "abc"}
    assert served.post("queue/join", ["one two", "tiny"], **count)[0] == 200
    assert "2 of 512 tokens" in served.read("queue/data?session_hash=abc")


def test_everybody_takes_turns(served: Served) -> None:
    def ask(*addresses: str) -> None:
        for address in addresses:
            assert served.post("call/score", ["x", ["tiny"]], address=address)[0] == 200

    ask("9.9.9.9", "9.9.9.9")
    assert until(lambda: served.begun == 2)  # as many as are worked on at once: the others wait
    ask(*["9.9.9.9"] * 4, *["8.8.8.8"] * 2)
    fn = served.page.fns[served.fn_index("score")]
    waiting = served.queue.event_queue_per_concurrency_id[fn.concurrency_id].queue
    assert [event.request.client.host[0] for event in waiting] == ["9", "8", "9", "8", "9", "9"]


def test_a_forged_address_does_not_help(served: Served) -> None:
    answers = [
        served.post("call/score", ["x", ["tiny"]], address=f"1.1.1.{n}, 9.9.9.9")[0]
        for n in range(EACH + 1)
    ]
    assert answers[-1] == 429


def test_a_full_queue_says_so_in_its_own_words(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admission, "MOST_COSTLY", 3)
    answers = [
        served.post("call/score", ["x", ["tiny"]], address=f"9.9.9.{n}") for n in range(1, 5)
    ]
    assert [status for status, _ in answers] == [200, 200, 200, 503]
    assert answers[-1][1]["detail"].startswith("The server is full: 3 calls wait")


def test_what_nobody_reads_is_dropped(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission, "UNREAD", 0.3)
    monkeypatch.setattr(admission, "_LOOK", 0.05)
    for _ in range(10):
        assert served.post("call/score", ["x", ["tiny"]])[0] == 200
    assert until(lambda: len(served.queue.event_ids_to_events) <= 2)  # those being worked on
    served.goes_on.set()
    assert until(
        lambda: (
            not served.queue.event_ids_to_events
            and not served.queue.pending_messages_per_session
            and not served.queue.pending_event_ids_session
        )
    )


def test_what_somebody_waits_for_is_kept(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission, "UNREAD", 0.3)
    monkeypatch.setattr(admission, "_LOOK", 0.05)
    _, answer = served.post("call/score", ["x", ["tiny"]])
    read: list[str] = []
    path = f"call/score/{answer['event_id']}"
    thread = threading.Thread(target=lambda: read.append(served.read(path)))
    thread.start()
    unread = served.post("call/score", ["x", ["tiny"]])[1]["event_id"]
    assert until(lambda: unread not in served.queue.pending_messages_per_session)
    served.goes_on.set()
    thread.join(20)
    assert read == ["event: complete\ndata: [[]]\n\n"]


def test_an_unread_text_is_not_written_to_its_end(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admission, "UNREAD", 0.2)
    monkeypatch.setattr(admission, "_LOOK", 0.05)
    for _ in range(4):
        assert served.post("call/generate", ["Once", "tiny", 1, 500, 0, 1, 1, "off"])[0] == 200
    assert until(lambda: not served.queue.event_ids_to_events)


def test_what_nobody_offers_is_no_fault(served: Served) -> None:
    for index in (None, -1, 10_000, 0):  # 0 is the browser's alone
        status, answer = served.post("queue/join", [], fn_index=index, session_hash="abc")
        assert (status, answer["detail"]) == (404, "There is no such call.")


def test_calls_that_cost_cannot_go_round_the_queue(served: Served) -> None:
    for route in ("run", "api"):
        assert served.post(f"{route}/score", ["x", ["tiny"]])[0] == 404


def test_refused_requests_leave_nothing(served: Served) -> None:
    for _ in range(5):
        assert served.post("call/generate", ["x" * MOST_BYTES])[0] == 413
        name = "x" * 1000
        assert served.post("call/generate", ["x"], session_hash=name)[0] == 400
    assert not served.queue.pending_messages_per_session
    assert not served.queue.pending_event_ids_session


def test_what_a_refused_request_brought_is_let_go(served: Served) -> None:
    """Gradio kept it as the newest value of its field, once for every caller."""
    marker = "a prompt to be found again " * 9
    for _ in range(5):
        event = served.post("call/generate", [marker, "none"])[1]["event_id"]
        assert "Model size must be one of" in served.read(f"call/generate/{event}")
    kept = served.page.state_holder.session_data
    assert len(kept) >= 5
    assert marker not in repr([session.config_values for session in kept.values()])


def test_readers_are_counted() -> None:
    readers = Readers()
    with readers.reading("a"):
        with readers.reading("a"):
            assert "a" in readers
        assert "a" in readers
        assert "b" not in readers
    assert "a" not in readers


def test_a_call_is_awaited_until_its_end_is_read(served: Served) -> None:
    """Also while Gradio has not tidied up: a reader who comes then would wait for ever."""
    readers = served.readers
    assert not readers.awaited("nobody's")
    call = served.post("call/score", ["x", ["tiny"]])[1]["event_id"]
    event = served.queue.event_ids_to_events[call]
    assert readers.awaited(call)
    served.goes_on.set()
    assert "event: " in served.read(f"call/score/{call}")
    served.queue.event_ids_to_events[call] = event  # as it may be for a moment
    assert not readers.awaited(call)
    del served.queue.event_ids_to_events[call]
