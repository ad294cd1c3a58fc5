"""Gradio's queue, so that nobody fills it: who may join, and what nobody reads.

By itself it takes whatever comes from anybody until it is full, and then refuses everybody; and it
keeps the answers that nobody has fetched, of as many as 2,000 callers.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, cast

import fastapi
import gradio as gr
from gradio.state_holder import SessionState

from gpt2.serving.addresses import counted_as
from gpt2.ui.session.limits import Limits

# Calls of the page itself, as when it counts tokens, wait apart from those that compute.
MOST_SMALL, MOST_SMALL_EACH = 512, 128
MOST_COSTLY = 256
UNREAD = 30.0  # seconds; whoever means to read opens the stream at once
_LOOK = 2.0  # seconds between two looks for what nobody reads
_WRITING = "runs"

STOPPING = "The server is stopping. Nothing is lost; try again in a while."


class Readers:
    """Which sessions and calls somebody is connected for. Used by the event loop alone."""

    def __init__(self) -> None:
        self._open: Counter[str] = Counter()
        # Whether something of a call is still to come or to be read; who keeps the calls says so.
        self.awaited: Callable[[str], bool] = lambda call: True

    @contextmanager
    def reading(self, name: str) -> Iterator[None]:
        """Somebody is, until the block ends."""
        self._open[name] += 1
        try:
            yield
        finally:
            self._open[name] -= 1
            if not self._open[name]:
                del self._open[name]

    def __contains__(self, name: str) -> bool:
        return name in self._open


class Admission:
    """Stands before the queue of `page`, which is set up already. Used by the event loop alone."""

    def __init__(
        self,
        page: gr.Blocks,
        limits: Limits,
        readers: Readers,
        stopping: Callable[[], bool] = lambda: False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._readers = readers
        readers.awaited = self._awaited
        self._stopping = stopping
        self._page = page
        self._queue = cast(Any, page._queue)
        self._each = limits.per_address
        self._clock = clock
        self._unread_since: dict[str, float] = {}
        self._looking: asyncio.Task[None] | None = None
        self._push: Callable[..., Awaitable[Any]] = self._queue.push
        self._queue.push = self._admit
        # For links to a session, which are closed here, Gradio keeps every field's newest value, of
        # 500 callers: 0.6 MB of each.
        cast(Any, SessionState)._update_value_in_config = lambda *_: None
        self._queue.max_size = None

    async def _admit(self, body: Any, request: fastapi.Request, username: str | None) -> Any:
        fn = self._page.fns.get(body.fn_index)
        if fn is None or fn.fn is None:
            raise fastapi.HTTPException(404, "There is no such call.")
        if self._stopping():
            raise fastapi.HTTPException(503, STOPPING)
        refused = self._refusal(fn, _address(request))
        if refused:
            raise fastapi.HTTPException(*refused)
        if self._looking is None or self._looking.done():
            self._looking = asyncio.get_running_loop().create_task(self._drop_unread())
        joined = await self._push(body=body, request=request, username=username)
        self._take_turns(fn.concurrency_id)
        return joined

    def _take_turns(self, lane: str) -> None:
        """Everybody's first call, then everybody's second: Gradio serves as they came."""
        waiting = self._queue.event_queue_per_concurrency_id[lane].queue
        before: Counter[str] = Counter()
        turns: dict[str, int] = {}
        for event in waiting:
            address = _address(event.request)
            turns[event._id] = before[address]
            before[address] += 1
        waiting.sort(key=lambda event: turns[event._id])

    def _refusal(self, fn: Any, address: str) -> tuple[int, str] | None:
        """The status and the sentence for a call that may not join."""
        small = _is_small(fn)
        events = [e for e in self._queue.event_ids_to_events.values() if _is_small(e.fn) == small]
        of_lane = [e for e in events if small or e.concurrency_id == fn.concurrency_id]
        mine = sum(_address(event.request) == address for event in of_lane)
        each = MOST_SMALL_EACH if small else self._each
        # The line of those who write refuses in words of its own, and sooner.
        if mine >= (2 * each if fn.concurrency_id == _WRITING else each):
            return 429, (
                f"{mine} calls from your address wait or are worked on, as many as one address "
                "may have. Nothing is lost; try again when some have ended."
            )
        if len(events) >= (MOST_SMALL if small else MOST_COSTLY):
            return 503, (
                f"The server is full: {len(events)} calls wait or are worked on. "
                "Nothing is lost; try again in a minute."
            )
        return None

    async def _drop_unread(self) -> None:
        """As long as anything is there: Gradio forgets what was read by itself."""
        while self._sessions():
            await self.drop_unread()
            await asyncio.sleep(_LOOK)

    async def drop_unread(self) -> None:
        """End and forget the calls of those who have not been connected for `UNREAD` seconds."""
        now = self._clock()
        sessions = self._sessions()
        unread = {name for name, calls in sessions.items() if not self._is_read(name, calls)}
        self._unread_since = {name: self._unread_since.get(name, now) for name in unread}
        for name, since in list(self._unread_since.items()):
            if now - since >= UNREAD:
                del self._unread_since[name]
                await self._forget(name)

    def _sessions(self) -> dict[str, set[str]]:
        """The calls of everybody for whom the queue keeps anything."""
        found: dict[str, set[str]] = {
            name: set() for name in self._queue.pending_messages_per_session
        }
        for name, calls in self._queue.pending_event_ids_session.items():
            found.setdefault(name, set()).update(calls)
        for call, event in self._queue.event_ids_to_events.items():
            found.setdefault(event.session_hash, set()).add(call)
        return found

    def _awaited(self, call: str) -> bool:
        """A stream for any other would wait for ever: what was read is not kept.

        A call is pending until its end has been handed over; that it is being worked on says
        nothing, since Gradio tidies up after that.
        """
        return any(call in each for each in self._queue.pending_event_ids_session.values())

    def _is_read(self, session: str, calls: set[str]) -> bool:
        return session in self._readers or any(call in self._readers for call in calls)

    async def _forget(self, session: str) -> None:
        # One that is being worked on ends after its next step: nobody is alive to hear of it.
        await self._queue.clean_events(session_hash=session)
        self._queue.pending_messages_per_session.pop(session, None)
        self._queue.pending_event_ids_session.pop(session, None)


def _is_small(fn: Any) -> bool:
    """Whether it is one of the page's own that compute nothing."""
    return fn.api_visibility != "public" and not isinstance(fn.concurrency_id, str)


def _address(request: fastapi.Request) -> str:
    return counted_as(request.client.host) if request.client else ""
