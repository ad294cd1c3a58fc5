"""A web server's reverse proxy, as small as it can be: shows a page below a path, also with TLS."""

from __future__ import annotations

import http.client
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

# For localhost, self-signed, good for a hundred years: nothing is kept secret with it.
CERTIFICATE = Path(__file__).with_name("localhost.pem")
_OF_ONE_CONNECTION = {"connection", "keep-alive", "transfer-encoding", "content-length"}


@contextmanager
def reverse_proxy(target: str, path: str, *, strips: bool, tls: bool = False) -> Iterator[str]:
    """The address, with a slash at its end, below which `target` is shown.

    One that `strips` asks `target` for `/file`, as `location /x/ { proxy_pass http://target/; }`
    does in nginx; another for `/x/file`. What is not below `path` is 404.
    """
    scheme = "https" if tls else "http"
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(target, path, strips, scheme))
    server.daemon_threads = True
    if tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(CERTIFICATE)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"{scheme}://127.0.0.1:{server.server_address[1]}{path}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _handler(target: str, path: str, strips: bool, scheme: str) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            asked = urlsplit(self.path).path
            if asked != path and not asked.startswith(f"{path}/"):
                self.send_error(404)
                return
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            there = self.path.removeprefix(path) if strips else self.path
            behind = http.client.HTTPConnection(urlsplit(target).netloc, timeout=60)
            headers = {
                **{k: v for k, v in self.headers.items() if k.lower() not in _OF_ONE_CONNECTION},
                "X-Forwarded-For": self.client_address[0],
                "X-Forwarded-Host": self.headers["Host"],
                "X-Forwarded-Proto": scheme,
            }
            behind.request(self.command, there or "/", body or None, headers)
            self._pass_on(behind.getresponse())
            behind.close()

        do_POST = do_HEAD = do_GET

        def _pass_on(self, answer: http.client.HTTPResponse) -> None:
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in _OF_ONE_CONNECTION:
                    self.send_header(name, value)
            self.send_header("Connection", "close")  # which ends a body without a length
            self.close_connection = True
            # The browser has left, or the page's server.
            with suppress(OSError, ValueError, http.client.HTTPException):
                self.end_headers()
                while piece := answer.read1(65536):
                    self.wfile.write(piece)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    return Handler
