"""The 256 bytes as visible characters, as every file of a byte-level vocabulary writes them."""

from __future__ import annotations

_VISIBLE = [b for b in range(256) if chr(b).isprintable() and chr(b) != " "]
_HIDDEN = [b for b in range(256) if b not in _VISIBLE]

# The bytes in the order in which GPT-2 numbers them.
BYTES = (*_VISIBLE, *_HIDDEN)
BYTE_OF = {chr(b): b for b in _VISIBLE} | {chr(256 + n): b for n, b in enumerate(_HIDDEN)}
CHARACTER_OF = {byte: character for character, byte in BYTE_OF.items()}
