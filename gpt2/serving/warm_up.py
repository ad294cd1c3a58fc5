"""A page that says what is going on, from the first moment until the real one is there.

Importing PyTorch and Gradio takes seconds, more on a machine that has just been woken. This
answers on the same address before either is imported, and gives the address up for them.
"""

from __future__ import annotations

import json
import os
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from gpt2.runtime.assets_folder import ASSETS

_PAGE = ASSETS / "panel" / "warm_up.html"
_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
    "connect-src 'self'; frame-ancestors 'self' https://huggingface.co https://*.hf.space"
)


class WarmUp:
    """Serves until `close`; does nothing where the address is taken.

    The address is Gradio's: GRADIO_SERVER_NAME and GRADIO_SERVER_PORT, or 127.0.0.1:7860.
    """

    def __init__(self) -> None:
        self.stage = "Starting"
        self._began = time.monotonic()
        self._server: ThreadingHTTPServer | None = None
        name = os.environ.get("GRADIO_SERVER_NAME", "127.0.0.1")
        port = os.environ.get("GRADIO_SERVER_PORT", "7860")
        try:
            self._server = ThreadingHTTPServer((name, int(port)), self._handler())
        except (OSError, ValueError):
            return  # Gradio looks for another port, or says what is wrong with this one
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        """Give the address up."""
        if self._server:
            self._server.shutdown()
            self._server.server_close()

    def state(self) -> dict[str, object]:
        """What /health says."""
        seconds = round(time.monotonic() - self._began, 1)
        return {"status": "starting", "stage": self.stage, "seconds": seconds}

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        warm_up, page = self, _PAGE.read_bytes()

        class Handler(BaseHTTPRequestHandler):
            """The page at /, what is going on at /health, and nothing else."""

            server_version, sys_version = "gpt2", ""  # which Python this is, is nobody's business

            def do_GET(self) -> None:
                """Answer, and keep no connection: the next one is Gradio's."""
                at = self.path.split("?")[0]
                if at == "/":
                    self._send(200, "text/html; charset=utf-8", page)
                else:
                    body = json.dumps(warm_up.state()).encode()
                    self._send(503, "application/json", body)

            def _send(self, status: int, kind: str, body: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.send_header("Cache-Control", "no-store")
                self.send_header("Content-Security-Policy", _POLICY)
                self.send_header("X-Content-Type-Options", "nosniff")
                self.send_header("Referrer-Policy", "same-origin")
                self.send_header("Retry-After", "2")
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        return Handler
