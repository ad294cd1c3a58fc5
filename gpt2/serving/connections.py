"""Open connections: time limits, and a bound below the file limit, so that nobody holds them all.

uvicorn waits for ever for the first line of a request, and asyncio stops accepting for a second
whenever the process has no file left, without a word to whoever knocks.
"""

from __future__ import annotations

import asyncio
import logging
import time

from uvicorn.protocols.http.h11_impl import H11Protocol

try:
    import resource
except ImportError:  # Windows, where there is no such limit
    resource = None  # type: ignore[assignment]  # a module elsewhere

SECONDS_FOR_HEADERS = 10.0  # from the first moment of a connection, or the first byte of a request
SECONDS_FOR_READING = 60.0  # while somebody takes nothing of an answer
MOST = 4096
# Files that are no connections: models, downloads, the event loop. More than `BACKLOG`, since so
# many are accepted before the first of them is looked at.
_OTHER_FILES = 256
BACKLOG = 128
_PAUSE = 60.0  # seconds between two lines in the log

_FULL = (
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nConnection: close\r\n"
    b"Content-Type: text/plain\r\nContent-Length: 40\r\n\r\n"
    b"The server is full; try again in a while"
)

_log = logging.getLogger(__name__)


def most_connections() -> int:
    """How many this process may hold; raises its own file limit for them as far as it may."""
    if resource is None:
        return MOST
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST + _OTHER_FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(hard, wanted)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return MOST if soft == resource.RLIM_INFINITY else max(16, min(MOST, soft - _OTHER_FILES))


class Connection(H11Protocol):
    """One connection. Beyond `most`, whoever asks for nothing is closed, who came first, first."""

    most = MOST
    _said = -_PAUSE  # when the log was last told, for all connections

    def connection_made(
        self,
        transport: asyncio.Transport,  # type: ignore[override]  # as uvicorn has it
    ) -> None:
        """It begins: headers are due."""
        super().connection_made(transport)
        self._began = time.monotonic()
        self._headers: asyncio.TimerHandle | None = None
        self._reading: asyncio.TimerHandle | None = None
        self._expect_headers()
        if len(self.connections) > type(self).most:
            self._make_room()

    def connection_lost(self, exc: Exception | None) -> None:
        """It is over."""
        super().connection_lost(exc)
        for timer in (self._headers, self._reading):
            if timer is not None:
                timer.cancel()

    def data_received(self, data: bytes) -> None:
        """A piece of a request."""
        if self.idle and self._headers is None:
            self._expect_headers()
        super().data_received(data)
        if not self.idle and self._headers is not None:
            self._headers.cancel()
            self._headers = None

    def send_400_response(self, msg: str) -> None:
        """What came is no HTTP. Who was being answered is gone, for those who answer."""
        cycle = self.cycle
        if cycle is not None and not cycle.response_complete:
            cycle.disconnected = True
            cycle.message_event.set()
            if cycle.response_started:  # two answers at once are none
                self.transport.close()
                return
        super().send_400_response(msg)

    def pause_writing(self) -> None:
        """The other side takes nothing, and enough waits for it."""
        super().pause_writing()
        if self._reading is None:
            self._reading = self.loop.call_later(SECONDS_FOR_READING, self.transport.abort)

    def resume_writing(self) -> None:
        """It goes on taking."""
        super().resume_writing()
        if self._reading is not None:
            self._reading.cancel()
            self._reading = None

    @property
    def idle(self) -> bool:
        """Whether nothing is asked for at the moment."""
        return self.cycle is None or self.cycle.response_complete

    def _expect_headers(self) -> None:
        self._headers = self.loop.call_later(SECONDS_FOR_HEADERS, self._late)

    def _late(self) -> None:
        self._headers = None
        if self.idle:
            self.transport.abort()

    def _make_room(self) -> None:
        others = [c for c in self.connections if isinstance(c, Connection) and c is not self]
        others = [c for c in others if not c.transport.is_closing()]
        if len(others) < type(self).most:
            return
        idle = sorted((c for c in others if c.idle), key=lambda c: c._began)
        if time.monotonic() - Connection._said > _PAUSE:
            Connection._said = time.monotonic()
            _log.warning(
                "%d connections are open, as many as this process may hold: %s",
                len(others),
                "the longest idle are closed" if idle else "new ones are refused",
            )
        if idle:
            idle[0].transport.abort()
        else:
            self.transport.write(_FULL)
            self.transport.close()
