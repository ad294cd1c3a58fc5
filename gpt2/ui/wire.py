"""What travels to the browser: tokens as text or bytes, attention rows as one byte a weight."""

from __future__ import annotations

import base64
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from gpt2.tokenizer import END_OF_TEXT, Tokenizer

WireToken = str | dict[str, str]


def pack_rows(rows: npt.NDArray[np.float32]) -> bytes:
    """The newest rows (H, T, S) of one layer, weights 0 to 1, as bytes.

    Row after row, and in a row head after head, only what the row can see: its first i + 1 weights.
    A byte is round(255 * sqrt(weight)): the square root keeps small weights apart, and no weight is
    off by more than 0.004.
    """
    _, fed, attended = rows.shape
    levels = np.rint(255 * np.sqrt(np.clip(rows, 0, 1))).astype(np.uint8)
    first = attended - fed
    return b"".join(levels[:, row, : first + row + 1].tobytes() for row in range(fed))


def encode_rows(packed: bytes) -> str:
    """base64, the shortest text that JSON carries unchanged."""
    return base64.b64encode(packed).decode("ascii")


def wire_tokens(tokenizer: Tokenizer, ids: Iterable[int]) -> list[WireToken]:
    """Each token as text; as hex where its bytes are no text alone; `<|endoftext|>` marked."""
    return [_wire_token(tokenizer, token) for token in ids]


def _wire_token(tokenizer: Tokenizer, token: int) -> WireToken:
    if token == tokenizer.end_of_text:
        return {"special": END_OF_TEXT}
    data = tokenizer.token_bytes(token)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return {"hex": data.hex()}
