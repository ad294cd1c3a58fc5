"""GPT-2's byte-pair encoding (Sennrich et al. 2016; Radford et al. 2019, section 2.2).

tiktoken does the merging; the merges are GPT-2's own file in `assets/`, so nothing is downloaded.
A model with files of its own has its own merges (`OwnTokenizer`).
"""

from __future__ import annotations

import codecs
import hashlib
import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

import regex
import tiktoken

from gpt2.runtime.assets_folder import ASSETS
from gpt2.tokenizer.bytes_visible import BYTE_OF, BYTES, CHARACTER_OF
from gpt2.tokenizer.files import (
    FILES,
    OPENAI_PATTERN,
    OPENAI_STEPS,
    Added,
    Vocabulary,
    bytes_of,
    read_vocabulary,
)
from gpt2.tokenizer.merging import Merged, Merging

VOCABULARY_FILE = ASSETS / "vocab.bpe"
GPT2_VOCAB_SIZE = 50257
END_OF_TEXT = "<|endoftext|>"

_LETTER = regex.compile(r"\w")
_SPACES = regex.compile(r"\s*")
_NOTHING = -1  # no token's id
# Rows up to which a vocabulary without files is GPT-2's, padded: nanoGPT has 50,304, Megatron at
# most 51,200. Above, somebody has forgotten his tokenizer.
MOST_PADDED_ROWS = 51_200


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


class Tokenizer:
    """Text to token ids and back.

    `vocab_size` 50,257 is GPT-2's vocabulary. A smaller one is the same list cut short: the 256
    bytes, the first `vocab_size` - 257 merges, and last of all `<|endoftext|>`. `for_folder` makes
    one from a model's own files. `ends` are the ids that end a text, `end_of_text` what stands
    before an empty one. Raises ValueError for a size that cannot be had.
    """

    def __init__(
        self, vocab_size: int = GPT2_VOCAB_SIZE, ends: Collection[int] | None = None
    ) -> None:
        if not 257 <= vocab_size <= GPT2_VOCAB_SIZE:
            raise ValueError(f"vocab_size must be from 257 to {GPT2_VOCAB_SIZE}, not {vocab_size}")
        self.vocab_size = vocab_size
        self.end_of_text = vocab_size - 1
        inside = [i for i in ends or () if i < vocab_size]
        self.ends = frozenset(inside or [self.end_of_text])
        self.name = f"gpt2-{vocab_size}"  # the same of two means that they have the same ids

    @property
    def _encoding(self) -> tiktoken.Encoding:
        return _gpt2(self.vocab_size)  # made when first needed, which takes longer than a prompt

    @staticmethod
    def for_folder(
        folder: Path, rows: int, ends: Collection[int] | None = None, start: int | None = None
    ) -> Tokenizer:
        """The tokenizer of the model in `folder`, whose embedding has `rows` ids.

        Files of its own are read; without any it is GPT-2's. Its `vocab_size` counts the ids that
        have text: the rows after them, to which some pad, are no tokens. `ends` and `start` are
        what the model's config says ends and begins a text. Raises ValueError, as the end of a
        sentence, for a kind that cannot be read, or one that does not fit the rows.
        """
        stamps = tuple(_stamp(folder / file) for file in FILES)
        known = None if ends is None else frozenset(ends)
        found = _for_folder(folder, stamps, rows, known, start)
        if isinstance(found, str):
            raise ValueError(found)
        return found

    def encode(self, text: str) -> list[int]:
        """Ids of `text`, all of it as ordinary text: a typed `<|endoftext|>` is no token."""
        return self._encoding.encode_ordinary(text)

    def cuts(self, text: str) -> list[int]:
        """How many bytes of `text` each of its tokens stands for; together, all of them."""
        return [len(self.token_bytes(token)) for token in self.encode(text)]

    def special_of(self, data: bytes) -> int:
        """The token with these bytes that ends or begins texts. Raises ValueError for no such."""
        for token in (*self.ends, self.end_of_text):
            if self.token_bytes(token) == data:
                return token
        raise ValueError(f"no token that ends a text is called {data[:40]!r}")

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

        `<|endoftext|>`, as every token that was added, was never merged and has no parts. Raises
        ValueError for an id outside the vocabulary.
        """
        data = self.token_bytes(token)
        if token == self.end_of_text or token in self.ends:
            return Merge(token, data, 0)
        parts = [self._byte(data[i : i + 1]) for i in range(len(data))]
        while len(parts) > 1:
            found = [self._merged(left, right) for left, right in pairwise(parts)]
            numbers = [merge.number for merge in found if merge]
            if not numbers:
                return Merge(token, data, 0)
            at = next(i for i, merge in enumerate(found) if merge and merge.number == min(numbers))
            parts[at : at + 2] = [merge for merge in found[at : at + 1] if merge]
        return parts[0] if parts and parts[0].token == token else Merge(token, data, 0)

    def _byte(self, data: bytes) -> Merge:
        return Merge(self._encoding.encode_single_token(data), data, 0)

    def _merged(self, left: Merge, right: Merge) -> Merge | None:
        """What two tokens that stand side by side become."""
        ranks = self._encoding._mergeable_ranks
        token = ranks.get(left.data + right.data)
        if token is None:
            return None
        return Merge(token, left.data + right.data, token - 255, left, right)

    def token_of(self, data: bytes) -> int:
        """The token with exactly these bytes. Raises ValueError where there is none."""
        try:
            return self._encoding.encode_single_token(data)
        except KeyError:
            raise ValueError(f"no token has the bytes {data[:40]!r}") from None


class OwnTokenizer(Tokenizer):
    """A model's own vocabulary: byte-level byte-pair encoding with any merges.

    Added tokens are found in the text first, but for those that end it: a text cannot end itself.
    Ids below `vocab_size` that no token has are shown as such.
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        rows: int,
        ends: Collection[int] | None,
        start: int | None,
    ) -> None:
        added = [token for token in vocabulary.added if token.id < rows]
        self._bytes = {number: bytes_of(token) for token, number in vocabulary.tokens.items()}
        for token in vocabulary.added:  # those beyond the rows too: they may stand in `tokens`
            self._bytes[token.id] = token.content.encode("utf-8", "replace")
            if token.id >= rows:
                del self._bytes[token.id]
        if not self._bytes:
            raise ValueError("its tokenizer has no tokens")
        self.vocab_size = max(self._bytes) + 1
        if self.vocab_size > rows:
            raise ValueError(
                f"its tokenizer has ids up to {self.vocab_size - 1:,}, its weights {rows:,} rows"
            )
        self._token_of = {data: token for token, data in reversed(self._bytes.items())}
        named = {token.content: token.id for token in added}
        self.ends = frozenset(
            token for token in self._ends(vocabulary, named, ends) if token in self._bytes
        )
        self.end_of_text = self._start(vocabulary, named, start)
        self.name = _fingerprint(vocabulary, rows)
        self._added = {f"t{n}": token for n, token in enumerate(added) if token.id not in self.ends}
        self._pattern = _pattern_of(self._added)
        self._prefix = vocabulary.add_prefix_space
        self._normalize = vocabulary.normalize
        self._steps = [regex.compile(step) for step in vocabulary.steps]
        self._merge = _merging(vocabulary)
        self._as_gpt2 = _gpt2(GPT2_VOCAB_SIZE) if _is_gpt2(vocabulary) else None

    def encode(self, text: str) -> list[int]:
        return [token for token, _ in self._tokens(text)]

    def cuts(self, text: str) -> list[int]:
        return [length for _, length in self._tokens(text)]

    def token_bytes(self, token: int) -> bytes:
        if not 0 <= token < self.vocab_size:
            raise ValueError(f"token id {token} is not in a vocabulary of {self.vocab_size}")
        found = self._bytes.get(token)
        return f"<no text {token}>".encode() if found is None else found

    def token_of(self, data: bytes) -> int:
        found = self._token_of.get(data)
        if found is None:
            match = re.fullmatch(rb"<no text (\d{1,7})>", data)
            found = int(match[1]) if match else None
            if found is None or found in self._bytes or found >= self.vocab_size:
                raise ValueError(f"no token has the bytes {data[:40]!r}")
        return found

    def _byte(self, data: bytes) -> Merge:
        return Merge(self._token_of.get(data, _NOTHING), data, 0)

    def _merged(self, left: Merge, right: Merge) -> Merge | None:
        found = self._merge.merges.get((left.token, right.token))
        if found is None:
            return None
        rank, token = found
        return Merge(token, left.data + right.data, rank + 1, left, right)

    def _ends(
        self, vocabulary: Vocabulary, named: Mapping[str, int], ends: Collection[int] | None
    ) -> Collection[int]:
        inside = [] if ends is None else [token for token in ends if token in self._bytes]
        if inside:
            return inside
        for content in (vocabulary.eos_token, END_OF_TEXT):
            if content is not None and content in named:
                return [named[content]]
        return []

    def _start(self, vocabulary: Vocabulary, named: Mapping[str, int], start: int | None) -> int:
        if start is not None and start in self._bytes:
            return start
        if vocabulary.bos_token is not None and vocabulary.bos_token in named:
            return named[vocabulary.bos_token]
        return min(self.ends) if self.ends else self._token_of.get(b"\n", min(self._bytes))

    def _tokens(self, text: str) -> Merged:
        """Ids, each with how many bytes of `text` it stands for."""
        try:
            text.encode("utf-8")
        except UnicodeEncodeError:  # half an emoji
            text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        found: Merged = []
        at = 0
        for token, start, end in self._added_in(text):
            found += self._ordinary(text[at:start])
            found.append((token, len(text[max(at, start) : end].encode("utf-8"))))
            at = max(at, end)
        found += self._ordinary(text[at:])
        return _covering(found)

    def _added_in(self, text: str) -> Iterator[tuple[int, int, int]]:
        """Added tokens with where they start and end, spaces beside them too that belong to them.

        What belongs to one may be the beginning of the next: the library takes both.
        """
        at = 0
        for match in self._pattern.finditer(text) if self._pattern else ():
            added = self._added[match.lastgroup]
            start, end = match.span()
            if added.single_word and (
                _LETTER.match(text, end) or (start and _LETTER.match(text, start - 1))
            ):
                continue
            while added.lstrip and start > at and _SPACES.fullmatch(text, start - 1, start):
                start -= 1
            if added.rstrip:
                end = _SPACES.match(text, end).end()
            yield added.id, start, end
            at = end

    def _ordinary(self, text: str) -> Merged:
        if not text:
            return []
        if self._as_gpt2 is not None:
            ids = self._as_gpt2.encode_ordinary(text)
            return [(i, len(self._as_gpt2.decode_single_token_bytes(i))) for i in ids]
        changed = self._normalize(text) if self._normalize else text
        if self._prefix and not changed.startswith(" "):
            changed = " " + changed
        pieces = [changed]
        for step in self._steps:
            pieces = [part for piece in pieces for part in _cut(step, piece)]
        found: Merged = []
        for piece in pieces:
            data = piece.encode("utf-8")
            found += self._merge(data) or [(_NOTHING, len(data))]
        if changed == text:
            return found
        return _fitted(found, len(text.encode("utf-8")), 1 if changed == " " + text else 0)


def _cut(step: regex.Pattern[str], text: str) -> Iterator[str]:
    """What matches, and what lies between."""
    at = 0
    for match in step.finditer(text):
        if match.end() == match.start():
            continue
        if at < match.start():
            yield text[at : match.start()]
        yield match[0]
        at = match.end()
    if at < len(text):
        yield text[at:]


def _fitted(found: Merged, length: int, extra: int) -> Merged:
    """The lengths made to cover `length` bytes of the text as it was typed.

    The first `extra` bytes were put before it; what else was changed is shared out.
    """
    fitted: Merged = []
    for token, long in found:
        here = min(length, long - extra)
        extra = 0
        length -= here
        fitted.append((token, here))
    return [*fitted, (_NOTHING, length)] if length else fitted


def _covering(found: Merged) -> Merged:
    """Bytes that became no token go to the next one, and at the end to the last."""
    covering: Merged = []
    waiting = 0
    for token, length in found:
        waiting += length
        if token != _NOTHING:
            covering.append((token, waiting))
            waiting = 0
    if waiting and covering:
        covering[-1] = covering[-1][0], covering[-1][1] + waiting
    return covering


def _pattern_of(added: Mapping[str, Added]) -> regex.Pattern[str] | None:
    """Finds added tokens, the leftmost first and of two there the longer."""
    parts = [
        f"(?P<{name}>{regex.escape(token.content)})"
        for name, token in sorted(added.items(), key=lambda item: -len(item[1].content))
    ]
    return regex.compile("|".join(parts)) if parts else None


def _merging(vocabulary: Vocabulary) -> Merging:
    tokens = vocabulary.tokens
    bytes_here = {
        byte: tokens[character] for character, byte in BYTE_OF.items() if character in tokens
    }
    merges: dict[tuple[int, int], tuple[int, int]] = {}
    for rank, (left, right) in enumerate(vocabulary.merges):
        try:
            merges[tokens[left], tokens[right]] = rank, tokens[left + right]
        except KeyError as missing:
            raise ValueError(
                f"its merges name {str(missing)[:40]}, which is not in its vocabulary"
            ) from None
    whole = {}
    if vocabulary.ignore_merges:
        whole = {bytes_of(token): number for token, number in tokens.items()}
    unknown = None if vocabulary.unknown is None else tokens.get(vocabulary.unknown)
    return Merging(bytes_here, merges, whole, unknown)


def _is_gpt2(vocabulary: Vocabulary) -> bool:
    """Whether ordinary text has the ids that it has for GPT-2, which tiktoken finds sooner."""
    plain = not (vocabulary.add_prefix_space or vocabulary.normalize or vocabulary.ignore_merges)
    if not plain or any(step not in OPENAI_STEPS for step in vocabulary.steps):
        return False
    lines = VOCABULARY_FILE.read_text(encoding="utf-8").split("\n")[1:]
    merges = [tuple(line.split()) for line in lines if line]
    if len(vocabulary.steps) != 1 or vocabulary.merges != merges:
        return False
    tokens = vocabulary.tokens
    first = (tokens.get(CHARACTER_OF[byte]) for byte in BYTES)
    rest = (tokens.get(left + right) for left, right in merges)
    return [*first, *rest] == list(range(GPT2_VOCAB_SIZE - 1))


def _fingerprint(vocabulary: Vocabulary, rows: int) -> str:
    said = [
        sorted(vocabulary.tokens.items()),
        vocabulary.merges,
        sorted((t.id, t.content) for t in vocabulary.added if t.id < rows),
        vocabulary.steps,
        vocabulary.add_prefix_space,
    ]
    return hashlib.sha256(json.dumps(said).encode("utf-8", "replace")).hexdigest()


def _stamp(path: Path) -> tuple[int, ...] | None:
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino


@lru_cache(maxsize=16)
def _for_folder(
    folder: Path,
    stamps: tuple[object, ...],
    rows: int,
    ends: frozenset[int] | None,
    start: int | None,
) -> Tokenizer | str:
    """The tokenizer, or why there is none: asked again and again, both are read but once."""
    try:
        return _read(folder, rows, ends, start)
    except ValueError as error:
        return str(error)


def _read(folder: Path, rows: int, ends: frozenset[int] | None, start: int | None) -> Tokenizer:
    vocabulary = read_vocabulary(folder)
    if vocabulary is not None:
        return OwnTokenizer(vocabulary, rows, ends, start)
    if GPT2_VOCAB_SIZE <= rows <= MOST_PADDED_ROWS:
        return Tokenizer(GPT2_VOCAB_SIZE, ends)
    if 257 <= rows < GPT2_VOCAB_SIZE and ends is not None and set(ends) == {rows - 1}:
        return Tokenizer(rows, ends)  # one that this program has trained
    raise ValueError(
        f"it has {rows:,} tokens and brings no tokenizer (tokenizer.json, or vocab.json and "
        f"merges.txt), and GPT-2's has {GPT2_VOCAB_SIZE:,}"
    )


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


@lru_cache(maxsize=4)  # the built-in sizes' and GPT-2's
def _gpt2(vocab_size: int) -> tiktoken.Encoding:
    ranks = {bytes([b]): rank for rank, b in enumerate(BYTES)}
    lines = VOCABULARY_FILE.read_text(encoding="utf-8").split("\n")
    for line in lines[1 : vocab_size - 256]:
        left, right = (bytes(BYTE_OF[c] for c in part) for part in line.split())
        ranks[left + right] = len(ranks)
    return tiktoken.Encoding(
        f"gpt2-{vocab_size}",
        pat_str=OPENAI_PATTERN,
        mergeable_ranks=ranks,
        special_tokens={END_OF_TEXT: vocab_size - 1},
    )
