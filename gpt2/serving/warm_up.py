"""A page that says what is going on, from the first moment until the real one is there.

Importing PyTorch and Gradio takes seconds, more on a machine that has just been woken. This
answers on the same address before either is imported, and gives the address up for them.
"""

from __future__ import annotations

import errno
import json
import socket
import socketserver
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from gpt2.runtime import settings
from gpt2.runtime.assets_folder import ASSETS
from gpt2.serving.framing import frame_ancestors

_PAGE = next((ASSETS / "panel").rglob("warm_up.html"))
_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
    "connect-src 'self'; frame-ancestors "
)


USUAL_PORT = 7860
_PORTS_TRIED = range(USUAL_PORT, USUAL_PORT + 100)


class WarmUp:
    """Serves until `close` at `host` and `port`, which the page then takes over.

    They are GRADIO_SERVER_NAME and GRADIO_SERVER_PORT; without a port the first free one from 7860.
    Raises SettingError, with a sentence, where nobody can serve there.
    """

    def __init__(self) -> None:
        self.stage = "Starting"
        self.host = settings.SERVER_NAME.get()
        self._began = time.monotonic()
        self._server = self._bind(settings.SERVER_PORT.get())
        self.port: int = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def _bind(self, port: int | None) -> _Server:
        for candidate in [port] if port else _PORTS_TRIED:
            try:
                return _Server(self.host, candidate, self._handler())
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise _sentence(error, self.host, candidate) from None
        which = f"is {port}" if port else f"is not set, and from {USUAL_PORT} on all are taken"
        raise settings.SettingError(
            f"{settings.SERVER_PORT.name} {which}: another program serves there. End that one, or "
            "choose another port."
        )

    def close(self) -> None:
        """Give the address up."""
        self._server.shutdown()
        self._server.server_close()

    def state(self) -> dict[str, object]:
        """What /health says."""
        seconds = round(time.monotonic() - self._began, 1)
        return {"status": "starting", "stage": self.stage, "seconds": seconds}

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        warm_up, page, prefix = self, _PAGE.read_bytes(), settings.prefix()

        class Handler(BaseHTTPRequestHandler):
            """The page at /, what is going on at /health; all else is to be asked for again."""

            server_version, sys_version = "gpt2", ""  # which Python this is, is nobody's business

            def do_GET(self) -> None:
                """Answer, and keep no connection: the next one is Gradio's."""
                at = self.path.split("?")[0].removeprefix(prefix)
                if prefix and not at and self.path != "/":
                    # What the page asks for is relative to the address, which must end in a slash.
                    self._send(307, "text/plain", b"", Location=f"{prefix}/")
                elif at == "/":
                    self._send(200, "text/html; charset=utf-8", page)
                else:
                    body = json.dumps(warm_up.state()).encode()
                    self._send(503, "application/json", body)

            def _send(self, status: int, kind: str, body: bytes, **more: str) -> None:
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.send_header("Cache-Control", "no-store")
                self.send_header("Content-Security-Policy", _POLICY + frame_ancestors())
                self.send_header("X-Content-Type-Options", "nosniff")
                self.send_header("Referrer-Policy", "same-origin")
                self.send_header("Retry-After", "2")
                for name, value in more.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        return Handler


class _Server(ThreadingHTTPServer):
    """Of either family of addresses; who leaves while it answers is nothing to tell of."""

    daemon_threads = True

    def __init__(self, host: str, port: int, handler: type[BaseHTTPRequestHandler]) -> None:
        bare = host.strip("[]")
        self.address_family, *_ = socket.getaddrinfo(bare, port, type=socket.SOCK_STREAM)[0]
        super().__init__((bare, port), handler)

    def server_bind(self) -> None:
        """Without the question to the name servers that `HTTPServer` asks."""
        if self.address_family == socket.AF_INET6:  # as the page does afterwards
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        socketserver.TCPServer.server_bind(self)

    def handle_error(self, request: object, client_address: object) -> None:
        """A fault of ours is told as ever."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]  # any socket


def _sentence(error: OSError, host: str, port: int) -> settings.SettingError:
    if error.errno == errno.EACCES:
        return settings.SettingError(
            f"{settings.SERVER_PORT.name} is {port}, which this user may not use; those from 1024 "
            "on are for everybody."
        )
    return settings.SettingError(
        f"{settings.SERVER_NAME.name} must be an address of this computer, not {host!r} "
        f"({error.strerror})."
    )
