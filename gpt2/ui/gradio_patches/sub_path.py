"""The page below a path (GRADIO_ROOT_PATH), whether the proxy in front keeps the path or not."""

from __future__ import annotations

from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send


class SubPath:
    """ASGI middleware: what is inside sees every address as if it were served at the root.

    A proxy may send `/x/panel/runs.js` or `/panel/runs.js` for the same file. Gradio writes the
    path into the addresses it tells the browser by itself.
    """

    def __init__(self, app: ASGIApp, prefix: str) -> None:
        self._app = app
        self._prefix = prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app = self._app
        if self._prefix and scope["type"] in ("http", "websocket"):
            path = scope["path"]
            if path == self._prefix and scope["type"] == "http":
                # What the page asks for is relative to its address, which must end in a slash.
                query = scope.get("query_string", b"").decode("latin-1")
                app = RedirectResponse(f"{self._prefix}/{'?' + query if query else ''}")
            elif path.startswith(f"{self._prefix}/"):
                path = path[len(self._prefix) :]
            # With a root path a mounted folder would look for its name in front of the file's.
            scope = {**scope, "path": path, "root_path": ""}
        await app(scope, receive, send)
