"""What travels to the browser: frames of bytes, and tokens as JSON where a few are named.

A frame is a header of 16 bytes, little-endian, and what it carries:

    kind u8 · which of the runs asked for u8 · 0 u16 · start u32 · count u32 · length u32

Frames follow each other in any pieces the network makes of them. `assets/panel/store/log_reader.js`
reads the same, and `tests/panel/test_log_reader.py` holds both to it.
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum

from gpt2.interpret.row_codec import Levels
from gpt2.tokenizer import Tokenizer

WireToken = str | dict[str, str]

_HEADER = struct.Struct("<BBHIII")
# id, seconds since its stretch began, what its bytes are, what a draft said, how many bytes.
_TOKEN = struct.Struct("<IfBBH")
_GUESS = struct.Struct("<BH")
_TEXT, _SPECIAL = 0, 1
_NOT_ASKED, _RIGHT, _WRONG = 0, 1, 2


class Kind(IntEnum):
    """What a frame carries."""

    SHAPE = 0  # JSON: of the model, and which map the rows are of
    STATUS = 1  # JSON: all there is to say besides tokens and rows
    TOKENS = 2  # `count` tokens from `start` on
    ROWS = 3  # of the map, (i + 1) bytes each
    HEADS = 4  # of all heads, small (gpt2.interpret.atlas)
    MAPS = 5  # the same of all rows at once
    END = 6  # JSON: nothing more comes of this run by itself; {error} where it cannot be read
    ALIVE = 7  # nothing new


def frame(kind: Kind, index: int, payload: bytes = b"", start: int = 0, count: int = 0) -> bytes:
    """One frame of the run asked for at place `index`."""
    return _HEADER.pack(kind, index, 0, start, count, len(payload)) + payload


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame that was read."""

    kind: Kind
    index: int
    start: int
    count: int
    payload: bytes


def whole_frames(data: bytes) -> tuple[list[Frame], bytes]:
    """The frames that `data` begins with, and what is left: one that is still to come."""
    found, at = [], 0
    while len(data) - at >= _HEADER.size:
        kind, index, _, start, count, length = _HEADER.unpack_from(data, at)
        end = at + _HEADER.size + length
        if end > len(data):
            break
        found.append(Frame(Kind(kind), index, start, count, data[end - length : end]))
        at = end
    return found, data[at:]


def frames_in(data: bytes) -> list[Frame]:
    """The frames of an answer. Raises ValueError for one that is cut off."""
    found, rest = whole_frames(data)
    if rest:
        raise ValueError("a frame is cut off")
    return found


@dataclass(frozen=True, slots=True)
class TokenRecord:
    """A token as a log keeps it for its readers."""

    token: int
    seconds: float
    special: bool
    data: bytes
    guess: tuple[bool, bytes] | bool | None  # of a draft: None not asked, True right, else its own

    @classmethod
    def of(cls, tokenizer: Tokenizer, token: int, seconds: float, guess: int | None) -> TokenRecord:
        """The token, and what the draft guessed in its place."""
        special, data = _bytes_of(tokenizer, token)
        said: tuple[bool, bytes] | bool | None = None
        if guess is not None:
            said = True if guess == token else _bytes_of(tokenizer, guess)
        return cls(token, seconds, special, data, said)


def pack_tokens(records: Iterable[TokenRecord]) -> bytes:
    """Tokens one after another."""
    parts: list[bytes] = []
    for record in records:
        guess = record.guess
        said = _NOT_ASKED if guess is None else _RIGHT if isinstance(guess, bool) else _WRONG
        kind = _SPECIAL if record.special else _TEXT
        parts.append(_TOKEN.pack(record.token, record.seconds, kind, said, len(record.data)))
        parts.append(record.data)
        if isinstance(guess, tuple):
            parts.append(_GUESS.pack(_SPECIAL if guess[0] else _TEXT, len(guess[1])))
            parts.append(guess[1])
    return b"".join(parts)


def tokens_in(data: bytes) -> list[TokenRecord]:
    """`pack_tokens` undone."""
    found, at = [], 0
    while at < len(data):
        token, seconds, kind, said, length = _TOKEN.unpack_from(data, at)
        at += _TOKEN.size
        own = data[at : at + length]
        at += length
        guess: tuple[bool, bytes] | bool | None = None if said == _NOT_ASKED else True
        if said == _WRONG:
            what, length = _GUESS.unpack_from(data, at)
            at += _GUESS.size
            guess = (what == _SPECIAL, data[at : at + length])
            at += length
        found.append(TokenRecord(token, seconds, kind == _SPECIAL, own, guess))
    return found


def pack_rows(rows: Iterable[Levels]) -> bytes:
    """Rows of a map one after another, (i + 1) bytes each as `gpt2.interpret.row_codec` makes
    them."""
    return b"".join(row.tobytes() for row in rows)


def encode_bytes(packed: bytes) -> str:
    """base64, for the few bytes that stand in an answer of JSON."""
    return base64.b64encode(packed).decode("ascii")


def _bytes_of(tokenizer: Tokenizer, token: int) -> tuple[bool, bytes]:
    """Whether it marks an end, and its bytes."""
    special = token in tokenizer.ends or token == tokenizer.end_of_text
    return special, tokenizer.token_bytes(token)


def wire_tokens(tokenizer: Tokenizer, ids: Iterable[int]) -> list[WireToken]:
    """Each token as text; as hex where its bytes are NUL or no text alone; ends of text marked."""
    return [_wire_token(tokenizer, token) for token in ids]


def _wire_token(tokenizer: Tokenizer, token: int) -> WireToken:
    special, data = _bytes_of(tokenizer, token)
    if special:
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
