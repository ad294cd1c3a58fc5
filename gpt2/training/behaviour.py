"""How a text behaves, in numbers that stories by people and by models can be compared in.

All three look at token ids. Rates grow with length, so compare texts of one length.
"""

from __future__ import annotations

from collections.abc import Sequence

# "Ha, ha, ha!" is a story's good right: a loop is the same thing at least so often and so long.
LOOP_TIMES = 3
LOOP_TOKENS = 12
_LONGEST_PERIOD = 40


def repeated_4grams(ids: Sequence[int]) -> float:
    """The share of runs of four tokens that stood in `ids` before (Welleck et al. 2020, rep-4)."""
    return 1 - _distinct(ids, 4)


def distinct_2(ids: Sequence[int]) -> float:
    """The share of pairs of tokens that are different ones (Li et al. 2016)."""
    return _distinct(ids, 2)


def loop_start(ids: Sequence[int]) -> int | None:
    """Where the first loop begins, None without one.

    A loop is one run of up to 40 tokens said at least LOOP_TIMES in a row, over LOOP_TOKENS or
    more.
    """
    starts = []
    for period in range(1, _LONGEST_PERIOD + 1):
        same = 0
        for i in range(period, len(ids)):
            same = same + 1 if ids[i] == ids[i - period] else 0
            if same + period >= max(LOOP_TOKENS, LOOP_TIMES * period):
                starts.append(i + 1 - same - period)
                break
    return min(starts, default=None)


def _distinct(ids: Sequence[int], n: int) -> float:
    runs = [tuple(ids[i : i + n]) for i in range(len(ids) - n + 1)]
    return len(set(runs)) / len(runs) if runs else 1.0
