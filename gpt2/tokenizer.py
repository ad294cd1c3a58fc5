"""GPT-2's byte-pair encoding (Sennrich et al. 2016; Radford et al. 2019, section 2.2).

tiktoken does the merging; the merges are GPT-2's own file in `assets/`, so nothing is downloaded.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import tiktoken

from gpt2.runtime.assets_folder import ASSETS

VOCABULARY_FILE = ASSETS / "vocab.bpe"
GPT2_VOCAB_SIZE = 50257
END_OF_TEXT = "<|endoftext|>"

# GPT-2's rule for where merging must stop: contractions, words, numbers, punctuation, spaces.
_PATTERN = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s"


class Tokenizer:
    """Text to token ids and back.

    `vocab_size` 50,257 is GPT-2's vocabulary. A smaller one is the same list cut short: the 256
    bytes, the first `vocab_size` - 257 merges, and last of all `<|endoftext|>`.
    Raises ValueError for a size that cannot be had.
    """

    def __init__(self, vocab_size: int = GPT2_VOCAB_SIZE) -> None:
        if not 257 <= vocab_size <= GPT2_VOCAB_SIZE:
            raise ValueError(f"vocab_size must be from 257 to {GPT2_VOCAB_SIZE}, not {vocab_size}")
        self.vocab_size = vocab_size
        self.end_of_text = vocab_size - 1
        self._ranks = _ranks(vocab_size - 257)
        self._encoding = tiktoken.Encoding(
            f"gpt2-{vocab_size}",
            pat_str=_PATTERN,
            mergeable_ranks=self._ranks,
            special_tokens={END_OF_TEXT: self.end_of_text},
        )

    def encode(self, text: str) -> list[int]:
        """Ids of `text`, all of it as ordinary text: a typed `<|endoftext|>` is no token."""
        return self._encoding.encode_ordinary(text)

    def decode(self, ids: Iterable[int]) -> str:
        """Text of `ids`; bytes that make no character become U+FFFD."""
        return b"".join(map(self.token_bytes, ids)).decode("utf-8", "replace")

    def token_bytes(self, token: int) -> bytes:
        """The bytes of one token. Raises ValueError for an id outside the vocabulary."""
        if not 0 <= token < self.vocab_size:
            raise ValueError(f"token id {token} is not in a vocabulary of {self.vocab_size}")
        return self._encoding.decode_single_token_bytes(token)

    def merges(self, token: int) -> Merge:
        """How byte-pair encoding puts a token together, as a tree.

        `<|endoftext|>` was never merged and has no parts. Raises ValueError for an id outside the
        vocabulary.
        """
        data = self.token_bytes(token)
        if token == self.end_of_text:
            return Merge(token, data, 0)
        parts = [Merge(self._ranks[data[i : i + 1]], data[i : i + 1], 0) for i in range(len(data))]
        while len(parts) > 1:
            ranks = [self._ranks.get(a.data + b.data, self.vocab_size) for a, b in pairwise(parts)]
            best = min(ranks)
            at = ranks.index(best)
            left, right = parts[at : at + 2]
            parts[at : at + 2] = [Merge(best, left.data + right.data, best - 255, left, right)]
        return parts[0]

    def token_of(self, data: bytes) -> int:
        """The token with exactly these bytes. Raises ValueError where there is none."""
        try:
            return self._encoding.encode_single_token(data)
        except KeyError:
            raise ValueError(f"no token has the bytes {data[:40]!r}") from None


@dataclass(frozen=True, slots=True)
class Merge:
    """A token and the two it was merged from, down to single bytes, which have none.

    `token` is its id, `data` its bytes. `number` counts the merges that were learned, from 1, most
    frequent pair first; 0 for a single byte.
    """

    token: int
    data: bytes
    number: int
    left: Merge | None = None
    right: Merge | None = None

    def steps(self) -> list[Merge]:
        """The merges that make this token, in the order in which they are applied."""
        if self.left is None or self.right is None:
            return []
        # The lowest number first, as the algorithm does; among equals, from the left.
        below = self.left.steps() + self.right.steps()
        return [*sorted(below, key=lambda merge: merge.number), self]


class TextStream:
    """Tokens in, whole characters out: a character split over tokens waits for its last byte."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def feed(self, token: int) -> str:
        """The text that became readable with `token`, often nothing in the middle of an emoji."""
        return self._decoder.decode(self._tokenizer.token_bytes(token))

    def flush(self) -> str:
        """What is left at the end: U+FFFD for a character that never got its last byte."""
        return self._decoder.decode(b"", final=True)


@lru_cache(maxsize=2)  # the built-in sizes' and GPT-2's
def _ranks(merges: int) -> dict[bytes, int]:
    """Token bytes to rank: the 256 bytes, then the first `merges` lines of the file.

    The file writes every byte as one visible character; undo that.
    """
    visible = [b for b in range(256) if chr(b).isprintable() and chr(b) != " "]
    hidden = [b for b in range(256) if b not in visible]
    byte_of = {chr(b): b for b in visible}
    byte_of |= {chr(256 + n): b for n, b in enumerate(hidden)}
    ranks = {bytes([b]): rank for rank, b in enumerate(visible + hidden)}
    lines = VOCABULARY_FILE.read_text(encoding="utf-8").split("\n")
    for line in lines[1 : merges + 1]:
        left, right = (bytes(byte_of[c] for c in part) for part in line.split())
        ranks[left + right] = len(ranks)
    return ranks
