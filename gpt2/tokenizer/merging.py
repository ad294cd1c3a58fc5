"""Byte-pair merging in the order of a list of pairs, as the `tokenizers` library does it.

GPT-2's own vocabulary goes through tiktoken, which orders by the token that a merge makes rather
than by the pair. For lists in which two pairs make the same token, and for bytes that a vocabulary
lacks, that is another result; here it is theirs.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping

Merged = list[tuple[int, int]]  # ids, each with how many bytes of the word it stands for

_REMEMBERED = 20_000  # words
_LONGEST_REMEMBERED = 60  # bytes


class Merging:
    """Words, as bytes, to ids.

    `bytes_of` has the id of each byte that the vocabulary has, `merges` for a pair of ids its rank
    and the id that it becomes, `whole` the words that are taken without merging. A byte that is in
    no vocabulary becomes `unknown`, or nothing where that is None.
    """

    def __init__(
        self,
        bytes_of: Mapping[int, int],
        merges: Mapping[tuple[int, int], tuple[int, int]],
        whole: Mapping[bytes, int] | None = None,
        unknown: int | None = None,
    ) -> None:
        self._bytes_of = bytes_of
        self.merges = merges
        self._whole = whole or {}
        self._unknown = unknown
        self._words: dict[bytes, Merged] = {}

    def __call__(self, word: bytes) -> Merged:
        """The ids of one word. Bytes that became nothing count with the id after them."""
        found = self._words.get(word)
        if found is None:
            found = self._merge(word)
            if len(word) <= _LONGEST_REMEMBERED:
                if len(self._words) >= _REMEMBERED:
                    self._words.clear()  # at once, whoever else is reading
                self._words[word] = found
        return found

    def _merge(self, word: bytes) -> Merged:
        whole = self._whole.get(word)
        if whole is not None:
            return [(whole, len(word))]
        ids: list[int] = []
        lengths: list[int] = []
        waiting = 0
        for byte in word:
            token = self._bytes_of.get(byte, self._unknown)
            waiting += 1
            if token is not None:
                ids.append(token)
                lengths.append(waiting)
                waiting = 0
        if not ids:
            return []
        lengths[-1] += waiting
        return self._joined(ids, lengths)

    def _joined(self, ids: list[int], lengths: list[int]) -> Merged:
        """Join the pair of the lowest rank, the leftmost first, until none is left."""
        count = len(ids)
        after = list(range(1, count + 1))
        before = list(range(-1, count - 1))
        merges = self.merges
        heap: list[tuple[int, int, int, int, int]] = []  # rank, position, new id, and the pair

        def consider(left: int, right: int) -> None:
            pair = ids[left], ids[right]
            found = merges.get(pair)
            if found is not None:
                heapq.heappush(heap, (found[0], left, found[1], *pair))

        for left in range(count - 1):
            consider(left, left + 1)
        while heap:
            _, left, new, first, second = heapq.heappop(heap)
            right = after[left]
            if right >= count or ids[left] != first or ids[right] != second:
                continue  # one of the two is in another pair by now
            ids[left] = new
            lengths[left] += lengths[right]
            ids[right] = -1
            after[left] = after[right]
            if after[left] < count:
                before[after[left]] = left
                consider(left, after[left])
            if before[left] >= 0:
                consider(before[left], left)
        return [(token, length) for token, length in zip(ids, lengths, strict=True) if token >= 0]
