"""Agents over MCP (Model Context Protocol), who call the same endpoints as scripts do.

Gradio answers their calls by calling this very server, in its own name. So that limits for each
visitor still count who is asking, a header says it on that second way; it is believed only with a
secret that nobody outside this process is told.
"""

from __future__ import annotations

import re
import secrets

from starlette.datastructures import MutableHeaders
from starlette.types import Scope

# Of what Gradio has there: the protocol over HTTP, and the schema, which the hub reads. Not the
# older protocol, which keeps a stream and a second way in for every agent.
_PATH = re.compile(r"/gradio_api/mcp(/schema)?/?")
_CALLER = "x-gpt2-caller"


def is_agents(path: str) -> bool:
    """Whether agents call there."""
    return bool(_PATH.fullmatch(path))


class Callers:
    """Who is asking: the agent, where a request comes from this server on his behalf."""

    def __init__(self) -> None:
        self._secret = secrets.token_urlsafe(32)

    def settle(self, scope: Scope) -> None:
        """Marks an agent's request, and puts his address into one that was made for him."""
        headers = MutableHeaders(scope=scope)
        secret, _, address = headers.get(_CALLER, "").partition(" ")
        del headers[_CALLER]
        if is_agents(scope["path"]):
            host = scope["client"][0] if scope.get("client") else ""
            headers[_CALLER] = f"{self._secret} {host}"
        elif address and secrets.compare_digest(secret.encode(), self._secret.encode()):
            scope["client"] = (address, 0)
