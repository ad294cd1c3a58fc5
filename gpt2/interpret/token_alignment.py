"""One text, cut into tokens by several vocabularies: where their cuts fall together."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise


def shared_pieces(text: str, cuts: Sequence[Sequence[int]]) -> list[tuple[str, list[range]]]:
    """The shortest pieces of `text` that are whole tokens, and whole characters, for everybody.

    `cuts` holds, for each vocabulary, how many bytes of UTF-8 each of its tokens is long. With
    every piece comes, for each vocabulary, the range of its tokens in it. One vocabulary alone
    gives one piece a token, save where a character is split. Raises ValueError unless all cover
    the text.
    """
    data = text.encode("utf-8")
    ends = [list(accumulate(lengths)) for lengths in cuts]
    for found in ends:
        if (found or [0])[-1] != len(data):
            raise ValueError(f"tokens of {(found or [0])[-1]} bytes do not cover {len(data)}")
    common = set(accumulate(len(character.encode("utf-8")) for character in text))
    for found in ends:
        common &= set(found)
    places = [{end: number + 1 for number, end in enumerate(found)} for found in ends]
    return [
        (data[start:end].decode("utf-8"), [_tokens(place, start, end) for place in places])
        for start, end in pairwise([0, *sorted(common)])
    ]


def _tokens(place: dict[int, int], start: int, end: int) -> range:
    return range(place[start] if start else 0, place[end])
