"""What travels to the browser: tokens as text or bytes, attention rows as one byte a weight."""

from __future__ import annotations

import base64
from collections.abc import Iterable

from gpt2.levels import Levels
from gpt2.tokenizer import Tokenizer

WireToken = str | dict[str, str]


def pack_rows(rows: Iterable[Levels]) -> bytes:
    """Rows of a map one after another, (i + 1) bytes each as `gpt2.levels` makes them."""
    return b"".join(row.tobytes() for row in rows)


def encode_bytes(packed: bytes) -> str:
    """base64, the shortest text that JSON carries unchanged."""
    return base64.b64encode(packed).decode("ascii")


def wire_tokens(tokenizer: Tokenizer, ids: Iterable[int]) -> list[WireToken]:
    """Each token as text; as hex where its bytes are NUL or no text alone; ends of text marked."""
    return [_wire_token(tokenizer, token) for token in ids]


def _wire_token(tokenizer: Tokenizer, token: int) -> WireToken:
    data = tokenizer.token_bytes(token)
    if token in tokenizer.ends or token == tokenizer.end_of_text:
        return {"special": data.decode("utf-8", "replace")}
    if b"\x00" in data:  # in what comes in as text it is replaced
        return {"hex": data.hex()}
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return {"hex": data.hex()}


def token_ids(tokenizer: Tokenizer, tokens: Iterable[WireToken]) -> list[int]:
    """`wire_tokens` undone. Raises ValueError for what it never makes."""
    return [_token_id(tokenizer, token) for token in tokens]


def _token_id(tokenizer: Tokenizer, token: WireToken) -> int:
    if isinstance(token, str):
        return tokenizer.token_of(token.encode("utf-8"))
    if isinstance(token, dict) and isinstance(token.get("special"), str):
        return tokenizer.special_of(token["special"].encode("utf-8", "replace"))
    if isinstance(token, dict) and isinstance(token.get("hex"), str):
        return tokenizer.token_of(bytes.fromhex(token["hex"]))
    raise ValueError("this is no token")
