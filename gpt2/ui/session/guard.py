"""Around every request: which routes are open, how much may be sent, and what the browser is told.

Content Security Policy level 3 (https://www.w3.org/TR/CSP3/). Gradio compiles its components'
JavaScript with `new Function`, which needs 'unsafe-eval', and writes style attributes, which need
'unsafe-inline' for styles. The scripts that stand in the page are named by their sha256, so that
one smuggled in with a text would not run, nor would an `onerror`.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import re
from collections import Counter
from contextlib import suppress
from ipaddress import IPv6Address

from starlette.datastructures import Headers, MutableHeaders, QueryParams
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gpt2.runtime import settings
from gpt2.runtime.units import format_bytes
from gpt2.serving.addresses import believed, counted_as
from gpt2.serving.framing import frame_ancestors
from gpt2.serving.incoming import MOST_BYTES, Refused, check_session, checked_body
from gpt2.serving.packed import packed_quickly
from gpt2.ui.gradio_patches.first_scripts import with_first_scripts
from gpt2.ui.session.admission import Readers
from gpt2.ui.session.agents import Callers, is_agents
from gpt2.ui.session.attention_requests import BUSY
from gpt2.ui.session.calls import Calls

# What the page and `gradio_client` use. Gradio has more, which take files, fetch addresses, write
# to the disk or show other visitors' runs.
_OPEN = re.compile(
    r"/(config|theme\.css|favicon\.ico|manifest\.json|robots\.txt|health|metrics)?/?"
    r"|/(assets|static|panel|about)/.+|/runs(/[0-9a-f]{32}(/trace)?)?"
    r"|/gradio_api/(api|app_id|call|cancel|component_server|heartbeat|info|login_check"
    r"|openapi\.json|queue|reset|run|startup-events|theme\.css|token|user)(/.*)?"
)
_READS = re.compile(r"/gradio_api/(heartbeat|call(?:/v2)?/[^/]+)/([^/]+)/?")
_CALL = re.compile(r"/gradio_api/(call/v2|call|run|api)/([^/]+)")
_STREAM = re.compile(r"/gradio_api/queue/data/?")
_LOGS = re.compile(r"/runs(/.*)?")
# What a browser or a proxy writes there; anything else Gradio fails to make an address of.
_HOST = re.compile(r"([\w.-]{1,253}|\[([0-9A-Fa-f:.]{2,45})\])(:\d{1,5})?", re.ASCII)
_LONGEST_ADDRESS = 8000  # bytes; RFC 9110 asks for no less
_LONGEST_NAME = 255  # bytes of a file's name, on any disk
_MOST_OF_HEADERS = 32_000  # bytes; browsers and proxies stay below 16,000
_WITH_BODY = ("POST", "PUT", "PATCH", "DELETE")
_SECONDS_TO_SEND = 60.0  # a full request over a slow telephone takes half of it
_MOST_HELD = 64_000_000  # bytes of requests that have begun and not arrived
_HELD_EACH = 6 * MOST_BYTES
_BEFORE_ALL_CAME = (404, 413, 415, 503)  # refusals of a request that is still being sent
_MOST_DISCARDED = 20_000_000
_SECONDS_TO_DISCARD = 10.0
_STREAMS_EACH = 200  # a class of sixty behind one router, with three each
_PAGES_AT_ONCE = 2
_ASKING_EACH = 6  # of the eight that `AttentionRequests` answers at once

_INLINE = re.compile(rb"<script(?![^>]*\ssrc=)[^>]*>(.*?)</script>", re.DOTALL | re.IGNORECASE)
_POLICY = (
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
    "font-src 'self' data:; worker-src 'self' blob:; object-src 'none'; base-uri 'self'; "
    "form-action 'self'; script-src 'self' 'unsafe-eval'"
)


class Guard:
    """ASGI middleware; innermost, so that it sees pages before they are compressed.

    `readers` is told who is connected for answers, and `calls` knows those that scripts may ask
    for; without it, any. `agents` says whether the way for agents (MCP) is open, and `components`
    which of Gradio's the page shows.
    """

    def __init__(
        self,
        app: ASGIApp,
        readers: Readers | None = None,
        calls: Calls | None = None,
        agents: bool = False,
        components: frozenset[str] = frozenset(),
    ) -> None:
        self._app = app
        self._components = components
        self._agents = Callers() if agents else None
        self._calls = calls
        self._readers = readers or Readers()
        self._pages = asyncio.Semaphore(_PAGES_AT_ONCE)
        # By address: requests for rows, open streams, and bytes of bodies that are being read.
        self._asking: Counter[str] = Counter()
        self._streams: Counter[str] = Counter()
        self._held: Counter[str] = Counter()
        # Then every proxy that connects is trusted, and uvicorn takes what the farthest one says.
        self._any_proxy = settings.FORWARDED_ALLOW_IPS.get() == "*"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        said = ",".join(headers.getlist("x-forwarded-for"))
        if self._any_proxy and (visitor := believed(said)):
            scope["client"] = (visitor, 0)
        if self._agents:
            self._agents.settle(scope)
        # Gradio compresses what has an ending; its page, the longest text of all, has none.
        accepted = "" if "." in scope["path"] else headers.get("accept-encoding", "")
        answer = _Answer(send, accepted, self._components)
        body: bytes | None = None
        try:
            check_address(scope, headers)
            check_request(scope["method"], scope["path"], headers, bool(self._agents))
            if QueryParams(scope.get("query_string", b"")).get("page"):
                raise Refused(404, "There is one page here.")
            check_session(name := _read_by(scope) or None)
            called = _CALL.match(scope["path"])
            if called and self._calls is not None:
                if scope["method"] in _WITH_BODY:
                    self._calls.check_name(called[1], called[2])
                if name:
                    self._check_unread(name)
            if scope["method"] in _WITH_BODY:
                body = await self._body(scope, receive)
                body = checked_body(body)
                MutableHeaders(scope=scope)["content-length"] = str(len(body))
                if called and self._calls is not None:
                    self._calls.check_body(called[1], called[2], body)
                receive = _with_first(
                    {"type": "http.request", "body": body, "more_body": False}, receive
                )
        except Refused as error:
            if body is None and error.status in _BEFORE_ALL_CAME:
                await _discard(scope, receive, headers)
            await _refusal(scope, error)(scope, receive, answer)
        except ClientDisconnect:
            return
        else:
            await self._let_in(scope, receive, answer, name)

    async def _let_in(self, scope: Scope, receive: Receive, send: Send, name: str | None) -> None:
        if scope["path"] == "/" and scope["method"] == "GET":
            await self._page(scope, receive, send)
        elif scope["path"].startswith("/gradio_api/component_server"):
            await self._ask(scope, receive, send)
        elif _LOGS.fullmatch(scope["path"]):
            await self._count(scope, receive, send)
        elif name or is_agents(scope["path"]):
            await self._stream(scope, receive, send, name or scope["path"])
        else:
            await self._app(scope, receive, send)

    def _check_unread(self, call: str) -> None:
        """Whether something of this call is left to read, and nobody reads it. Raises Refused."""
        if call in self._readers:
            raise Refused(409, "The answers of this call are being read already.")
        if not self._readers.awaited(call):
            raise Refused(404, "There is no such call, or its answers have been read.")

    async def _body(self, scope: Scope, receive: Receive) -> bytes:
        """All of it. Raises Refused."""
        parts: list[bytes] = []
        address = _address(scope)
        try:
            reading = self._read(receive, parts, address)
            await asyncio.wait_for(reading, _SECONDS_TO_SEND)
            return b"".join(parts)
        except asyncio.TimeoutError:
            raise Refused(408, "The request did not arrive.") from None
        finally:
            _less(self._held, address, sum(map(len, parts)))

    async def _read(self, receive: Receive, parts: list[bytes], address: str) -> None:
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            part, more = message.get("body", b""), message.get("more_body", False)
            size = len(part)
            if self._held[address] + size > _HELD_EACH or sum(self._held.values()) > _MOST_HELD:
                raise Refused(503, "The server is busy. Nothing is lost; try again in a minute.")
            parts.append(part)
            self._held[address] += size

    async def _stream(self, scope: Scope, receive: Receive, send: Send, name: str) -> None:
        """Answers of the session or call `name`."""
        try:
            with self._readers.reading(name):
                await self._count(scope, receive, send)
        except RuntimeError as error:
            if not isinstance(error.__cause__, HTTPException):
                raise
            # Gradio says in the stream that it knows no such session, and then breaks it off.
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _count(self, scope: Scope, receive: Receive, send: Send) -> None:
        """An answer that may be held open: so many at once for one address."""
        address = _address(scope)
        if self._streams[address] >= _STREAMS_EACH:
            refused = Refused(429, "Your address has as many pages and calls open as it may.")
            await _refusal(scope, refused)(scope, receive, send)
            return
        self._streams[address] += 1
        try:
            await self._app(scope, receive, send)
        finally:
            _less(self._streams, address, 1)

    async def _page(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The page, which takes a while to make: not for somebody who has left meanwhile."""
        made: list[Message] = []

        async def keep(message: Message) -> None:
            made.append(message)

        first = await receive()
        left = asyncio.ensure_future(receive())
        try:
            async with self._pages:
                await asyncio.sleep(0)  # whoever has left is noticed now
                if not left.done():
                    await self._app(scope, _then(first, left), keep)
            for message in made:  # only now: who takes nothing keeps no other from his page
                await send(message)
        finally:
            left.cancel()

    async def _ask(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Rows and roles, which bypass Gradio's queue: so many at once for one address."""
        address = _address(scope)
        if self._asking[address] >= _ASKING_EACH:
            await JSONResponse({"error": BUSY})(scope, receive, send)
            return
        self._asking[address] += 1
        try:
            await self._app(scope, receive, send)
        finally:
            _less(self._asking, address, 1)


def check_address(scope: Scope, headers: Headers) -> None:
    """What a request says of where it goes, at all lengths. Raises Refused."""
    address = len(scope.get("raw_path") or b"") + len(scope.get("query_string", b""))
    if address > _LONGEST_ADDRESS:
        raise Refused(414, f"The address has {address:,} characters; at most 8,000 are read.")
    size = sum(len(name) + len(value) for name, value in headers.raw)
    if size > _MOST_OF_HEADERS:
        raise Refused(431, f"The headers have {size:,} bytes; at most 32,000 are read.")
    path = scope["path"]
    names = path.encode("utf-8", "surrogateescape").split(b"/")
    if not path.isprintable() or any(len(name) > _LONGEST_NAME for name in names):
        raise Refused(404, "Not found")
    for header in ("host", "x-forwarded-host"):
        for host in headers.get(header, "").split(",")[:1]:
            if host and not _is_host(host.strip()):
                raise Refused(400, f"The header {header} names no host.")


def _is_host(host: str) -> bool:
    found = _HOST.fullmatch(host)
    if not found:
        return False
    _, address, port = found.groups()
    try:
        return int((port or ":0")[1:]) < 65_536 and (not address or bool(IPv6Address(address)))
    except ValueError:
        return False


def check_request(method: str, path: str, headers: Headers, agents: bool = False) -> None:
    """What can be told before the body is read. Raises Refused."""
    if not (_OPEN.fullmatch(path) or (agents and is_agents(path))):
        raise Refused(404, "Not found")
    if method not in _WITH_BODY:
        return
    length = headers.get("content-length", "")
    if not length.isdecimal() or "transfer-encoding" in headers:
        raise Refused(411, "Say how long the request is.")
    if int(length) > MOST_BYTES:
        raise Refused(
            413,
            f"What was sent has {format_bytes(int(length))}; at most {format_bytes(MOST_BYTES)} "
            "can be read. Shorten it.",
        )
    if headers.get("content-type", "").startswith("multipart/"):
        raise Refused(415, "Files are not taken.")


def _refusal(scope: Scope, error: Refused) -> Response:
    """JSON for scripts and for the page, which shows the sentence
    (`assets/panel/store/sse_keep_alive.js`)."""
    if scope["method"] not in _WITH_BODY:
        return PlainTextResponse(str(error), error.status)
    return JSONResponse({"detail": str(error), "error": str(error)}, error.status)


def _read_by(scope: Scope) -> str:
    """The session or call whose answers this request waits for, or nothing."""
    if scope["method"] != "GET":
        return ""
    if _STREAM.fullmatch(scope["path"]):
        return QueryParams(scope["query_string"]).get("session_hash", "")
    found = _READS.fullmatch(scope["path"])
    return found[2] if found else ""


async def _discard(scope: Scope, receive: Receive, headers: Headers) -> None:
    """Takes what is still sent: who is cut off while sending does not read why."""
    length = headers.get("content-length", "")
    if scope["method"] not in _WITH_BODY or not length.isdecimal() or int(length) > _MOST_DISCARDED:
        return
    with suppress(asyncio.TimeoutError):
        await asyncio.wait_for(_to_the_end(receive), _SECONDS_TO_DISCARD)


async def _to_the_end(receive: Receive) -> None:
    message: Message = {"more_body": True}
    while message.get("more_body"):  # a disconnect has no more either
        message = await receive()


def _address(scope: Scope) -> str:
    return counted_as(scope["client"][0]) if scope.get("client") else ""


def _less(counted: Counter[str], address: str, by: int) -> None:
    counted[address] -= by
    if counted[address] <= 0:
        del counted[address]


def _with_first(first: Message, rest: Receive) -> Receive:
    messages = [first]

    async def receive() -> Message:
        return messages.pop() if messages else await rest()

    return receive


def _then(first: Message, second: asyncio.Future[Message]) -> Receive:
    return _with_first(first, lambda: asyncio.shield(second))


class _Answer:
    """Sends an answer on, with our headers; a page once it is whole, with our first scripts."""

    def __init__(self, send: Send, accepted: str, components: frozenset[str]) -> None:
        self._send = send
        self._accepted = accepted
        self._components = components
        self._start: Message = {}
        self._page: list[bytes] | None = None

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers["X-Content-Type-Options"] = "nosniff"
            headers["Referrer-Policy"] = "same-origin"
            headers["Permissions-Policy"] = "camera=(), geolocation=(), microphone=()"
            if headers.get("content-type", "").startswith("text/html"):
                self._start, self._page = message, []
                return
            headers["Content-Security-Policy"] = f"frame-ancestors {frame_ancestors()}; {_POLICY}"
        elif self._page is not None:
            self._page.append(message.get("body", b""))
            if message.get("more_body"):
                return
            body = self._finished(b"".join(self._page))
            await self._send(self._start)
            message = {**message, "body": body}
        await self._send(message)

    def _finished(self, page: bytes) -> bytes:
        """What is sent of a page, its headers set."""
        page = with_first_scripts(page, self._components)
        headers = MutableHeaders(scope=self._start)
        headers["Content-Security-Policy"] = page_policy(page)
        packing, page = packed_quickly(page, self._accepted)
        if packing:
            headers["Content-Encoding"] = packing
            headers.add_vary_header("Accept-Encoding")
        headers["Content-Length"] = str(len(page))
        return page


def page_policy(page: bytes) -> str:
    """The policy for a page in which exactly the scripts that stand in it now may run."""
    digests = (hashlib.sha256(script).digest() for script in _INLINE.findall(page))
    scripts = "".join(f" 'sha256-{base64.b64encode(d).decode()}'" for d in digests)
    return f"frame-ancestors {frame_ancestors()}; {_POLICY}{scripts}"
