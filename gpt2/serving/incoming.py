"""What a stranger sends, before anything keeps, counts or encodes it.

Two kinds of characters are legal in JSON and in Python and stop what comes after: half of a
surrogate pair, which no encoder writes, and NUL. Both become the replacement character.
"""

from __future__ import annotations

import json
import re
from typing import Any

# A request that fills a context with the longest tokens takes less, and so does a text of the most
# characters that are read, written as JSON.
MOST_BYTES = 650_000
SESSION_HASH = re.compile(r"[\w.-]{1,64}", re.ASCII)  # Gradio's have 11 characters, its client's 36

_UNSAFE = re.compile("[\ud800-\udfff\x00]")


class Refused(Exception):
    """A request that is not let in: the HTTP status, and the sentence for whoever sent it."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


def readable(text: str) -> str:
    """`text` with what cannot be encoded, and NUL, replaced."""
    return _UNSAFE.sub("\ufffd", text)


def cleaned(value: Any) -> Any:
    """The same for every text in a JSON value, names included. Raises RecursionError."""
    if isinstance(value, str):
        return readable(value)
    if isinstance(value, list):
        return [cleaned(item) for item in value]
    if isinstance(value, dict):
        return {readable(name): cleaned(item) for name, item in value.items()}
    return value


def _has_file(value: Any) -> bool:
    """Whether something in a JSON value is what Gradio would take for one of its files."""
    if isinstance(value, list):
        return any(map(_has_file, value))
    if isinstance(value, dict):
        meta = value.get("meta")
        named = isinstance(meta, dict) and meta.get("_type") == "gradio.FileData"
        return named or any(map(_has_file, value.values()))
    return False


def checked_body(body: bytes) -> bytes:
    """The JSON object in a request's body, fit to be passed on. Raises Refused."""
    try:
        value = json.loads(body.decode())  # of bytes it would also take UTF-16, and half pairs
        if isinstance(value, dict):
            check_session(value.get("session_hash"))
        if (b"FileData" in body or b"\\u" in body) and _has_file(value):
            raise Refused(415, "Files are not taken.")
        # Only an escape can make half a pair or a NUL: raw, neither is valid JSON in UTF-8.
        return json.dumps(cleaned(value)).encode() if b"\\u" in body else body
    except (ValueError, RecursionError):
        raise Refused(400, "The request is no JSON that can be read.") from None


def check_session(name: object) -> None:
    """Raises Refused for what no client of Gradio's calls itself; it would be kept."""
    if name is not None and not (isinstance(name, str) and SESSION_HASH.fullmatch(name)):
        raise Refused(400, "A session hash has 1 to 64 letters and digits.")
