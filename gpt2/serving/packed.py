"""Texts that every visitor is sent, compressed once: well, and not while somebody waits."""

from __future__ import annotations

import gzip
import threading
from hashlib import sha256
from queue import SimpleQueue

import brotli
from starlette.requests import Request
from starlette.responses import Response

_WELL, _QUICKLY = 11, 5  # of Brotli: 600 kB take 2 s and 20 ms; well is a tenth smaller
_WORTH_IT = 4000  # characters
_FOREVER = "public, max-age=31536000, immutable"


class Packed:
    """A text and what is sent of it. `forever`: its address changes whenever it does."""

    def __init__(self, text: str, media_type: str, forever: bool = False) -> None:
        self._body = text.encode()
        self._type = media_type
        self.digest = sha256(self._body).hexdigest()[:16]
        self._headers = {
            "ETag": f'"{self.digest}"',
            "Cache-Control": _FOREVER if forever else "no-cache",
            "Vary": "Accept-Encoding",
        }
        self._well: bytes | None = None
        if len(text) >= _WORTH_IT:
            _in_line().put(self)

    def answer(self, request: Request) -> Response:
        """What this browser understands and does not have yet."""
        had = request.headers.get("if-none-match", "").removeprefix("W/")
        if had == self._headers["ETag"]:
            return Response(status_code=304, headers=self._headers)
        accepted = request.headers.get("accept-encoding", "")
        if self._well and "br" in accepted:
            packing, body = "br", self._well
        else:
            packing, body = packed_quickly(self._body, accepted)
        headers = {**self._headers, "Content-Encoding": packing} if packing else self._headers
        return Response(body, media_type=self._type, headers=headers)

    def pack_well(self) -> None:
        """Takes seconds; until then a quick compression is sent."""
        self._well = self._well or brotli.compress(self._body, quality=_WELL)


def packed_quickly(body: bytes, accepted: str) -> tuple[str, bytes]:
    """The name of the encoding, or nothing, and the body in it, within milliseconds."""
    if "br" in accepted:
        return "br", bytes(brotli.compress(body, quality=_QUICKLY))
    if "gzip" in accepted:
        return "gzip", gzip.compress(body, 6)
    return "", body


_waiting: SimpleQueue[Packed] | None = None
_starting = threading.Lock()


def _in_line() -> SimpleQueue[Packed]:
    """Those to be packed well, by a thread of its own that ends with the process."""
    global _waiting
    with _starting:
        if _waiting is None:
            _waiting = SimpleQueue()
            threading.Thread(target=_pack, args=(_waiting,), name="packing", daemon=True).start()
        return _waiting


def _pack(waiting: SimpleQueue[Packed]) -> None:
    while True:
        waiting.get().pack_well()
