"""Around every request: which routes are open, how much may be sent, and what the browser is told.

Content Security Policy level 3 (https://www.w3.org/TR/CSP3/). Gradio compiles its components'
JavaScript with `new Function`, which needs 'unsafe-eval', and writes style attributes, which need
'unsafe-inline' for styles. The scripts that stand in the page are named by their sha256, so that
one smuggled in with a text would not run, nor would an `onerror`.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import re

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gpt2.serving.framing import frame_ancestors
from gpt2.ui.first_scripts import with_first_scripts

# What the page and `gradio_client` use. Gradio has more, which take files, fetch addresses, write
# to the disk or show other visitors' runs.
_OPEN = re.compile(
    r"/(config|theme\.css|favicon\.ico|manifest\.json|robots\.txt|health|metrics)?/?"
    r"|/(assets|static|panel|about)/.+"
    r"|/gradio_api/(api|app_id|call|cancel|component_server|heartbeat|info|login_check"
    r"|openapi\.json|queue|reset|run|startup-events|theme\.css|token|user)(/.*)?"
)
_LEVEL = 6  # of gzip: a page takes 4 ms, and 9 would save a hundredth of it
MOST_BYTES = 4_000_000  # of one request; the longest prompt takes 0.6 MB as JSON

_INLINE = re.compile(rb"<script(?![^>]*\ssrc=)[^>]*>(.*?)</script>", re.DOTALL | re.IGNORECASE)
_POLICY = (
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
    "font-src 'self' data:; worker-src 'self' blob:; object-src 'none'; base-uri 'self'; "
    "form-action 'self'; script-src 'self' 'unsafe-eval'"
)


class Guard:
    """ASGI middleware; innermost, so that it sees pages before they are compressed."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        app = refusal(scope["method"], scope["path"], headers) or self._app
        # Gradio compresses what has an ending; its page, the longest text of all, has none.
        zips = "gzip" in headers.get("accept-encoding", "") and "." not in scope["path"]
        await app(scope, receive, _Answer(send, zips))


def refusal(method: str, path: str, headers: Headers) -> PlainTextResponse | None:
    """The answer to a request that is not let in."""
    if not _OPEN.fullmatch(path):
        return PlainTextResponse("Not found", 404)
    if method not in ("POST", "PUT", "PATCH"):
        return None
    length = headers.get("content-length", "")
    if not length.isdecimal():
        return PlainTextResponse("Say how long the request is.", 411)
    if int(length) > MOST_BYTES:
        return PlainTextResponse(f"A request may have {MOST_BYTES:,} bytes.", 413)
    if headers.get("content-type", "").startswith("multipart/"):
        return PlainTextResponse("Files are not taken.", 415)
    return None


class _Answer:
    """Sends an answer on, with our headers; a page once it is whole, with our first scripts."""

    def __init__(self, send: Send, zips: bool) -> None:
        self._send = send
        self._zips = zips
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
        page = with_first_scripts(page)
        headers = MutableHeaders(scope=self._start)
        headers["Content-Security-Policy"] = page_policy(page)
        if self._zips:
            page = gzip.compress(page, _LEVEL)
            headers["Content-Encoding"] = "gzip"
            headers.add_vary_header("Accept-Encoding")
        headers["Content-Length"] = str(len(page))
        return page


def page_policy(page: bytes) -> str:
    """The policy for a page in which exactly the scripts that stand in it now may run."""
    digests = (hashlib.sha256(script).digest() for script in _INLINE.findall(page))
    scripts = "".join(f" 'sha256-{base64.b64encode(d).decode()}'" for d in digests)
    return f"frame-ancestors {frame_ancestors()}; {_POLICY}{scripts}"
