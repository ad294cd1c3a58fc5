"""Tokens themselves: id, bytes, how each was merged, and how other vocabularies cut the text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gpt2.interpret.token_alignment import shared_pieces
from gpt2.tokenizer import Merge, Tokenizer


@dataclass(frozen=True, slots=True)
class TokenFacts:
    """`token` is the id; `text` what its bytes say, escaped where they are no whole character."""

    token: int
    data: bytes
    text: str
    merges: Merge


@dataclass(frozen=True, slots=True)
class TokenView:
    """A text in one vocabulary, and beside it in another.

    `other` are the ids that a vocabulary of `other_size` gives. Each of `pieces` is text that is
    whole tokens of both: (text, indices in `tokens`, indices in `other`).
    """

    tokens: tuple[TokenFacts, ...]
    vocab_size: int
    other: tuple[TokenFacts, ...]
    other_size: int
    pieces: tuple[tuple[str, range, range], ...]


def facts(tokenizer: Tokenizer, ids: Sequence[int]) -> tuple[TokenFacts, ...]:
    """What there is to know of each token. Raises ValueError for an id outside the vocabulary."""
    known: dict[int, TokenFacts] = {}
    for each in dict.fromkeys(ids):
        data = tokenizer.token_bytes(each)
        text = data.decode("utf-8", "backslashreplace")
        known[each] = TokenFacts(each, data, text, tokenizer.merges(each))
    return tuple(known[each] for each in ids)


def view(tokenizer: Tokenizer, text: str, other_size: int) -> TokenView:
    """`text` in the vocabulary of `tokenizer` and in one of `other_size`.

    Raises ValueError for a vocabulary that cannot be had.
    """
    both = (tokenizer, Tokenizer(other_size))
    ids = [each.encode(text) for each in both]
    own, others = (facts(each, found) for each, found in zip(both, ids, strict=True))
    lengths = [[len(fact.data) for fact in found] for found in (own, others)]
    pieces = shared_pieces(text, lengths)
    return TokenView(
        own,
        tokenizer.vocab_size,
        others,
        other_size,
        tuple((piece, mine, theirs) for piece, (mine, theirs) in pieces),
    )
