"""How many tokens to draft next: as many as pay, by what this run has measured so far.

Leviathan et al. (2023), section 3: drafts that are right with probability a, k of them a round,
bring (1 - a^(k+1)) / (1 - a) tokens. What a round costs is not modelled but timed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection
from dataclasses import dataclass
from statistics import median

MOST_DRAFTED = 8
_CALIBRATION = 2  # rounds without a draft at first: what a token costs alone
_EVIDENCE = 4  # drafts to see judged, at first and when trying again, before deciding
_TRIAL = 3  # tokens drafted until then
_REMEMBERED = 8  # of the drafts judged before a pause
_REFRESH = 24  # rounds between two without a draft, as costs grow with the text
_SHORTEST_PAUSE, _LONGEST_PAUSE = 16, 256  # rounds off before drafting is tried again
_WORTH = 1.05  # timings are noisy: less than this is no gain


def expected_tokens(rate: float, drafted: int) -> float:
    """Tokens a round of `drafted` drafts brings when each is right with probability `rate`."""
    return sum(rate**i for i in range(drafted + 1))


@dataclass(frozen=True, slots=True)
class Round:
    """What one round did: `accepted` of `judged` of `drafted` tokens, and its times in seconds.

    The drafts after the first wrong one are never judged. `whole` also counts what the draft read
    to catch up with the text, which says nothing about the usual cost.
    """

    drafted: int
    judged: int
    accepted: int
    guessing: float
    checking: float
    whole: float


class DraftLength:
    """Learns from every `Round`; `next` says how far to draft, 0 for not at all.

    It decides by the clock, which is harmless: how far ahead a draft goes never changes the text.
    """

    def __init__(self) -> None:
        self._alone: deque[float] = deque(maxlen=9)  # seconds of a round without a draft
        self._per_draft: deque[float] = deque(maxlen=9)
        self._per_row: deque[float] = deque(maxlen=9)  # what a further row of a pass adds
        self._right: deque[bool] = deque(maxlen=64)
        self._rounds_drafted = 0
        self._fresh = 0  # drafts judged since drafting began or began again
        self._off = 0  # rounds left without a draft
        self._pause = _SHORTEST_PAUSE
        self._spent = self._alone_would_take = 0.0

    def next(self, room: int) -> int:
        """Tokens to draft in the next round, at most `room`."""
        if len(self._alone) < _CALIBRATION:
            return 0
        if self._off:
            self._off -= 1
            return 0
        if self._rounds_drafted % _REFRESH == _REFRESH - 1:
            self._rounds_drafted += 1
            return 0
        lengths = range(1, min(room, MOST_DRAFTED) + 1)
        if self._fresh < _EVIDENCE:
            return min(room, _TRIAL)
        best = max(lengths, key=self._gain, default=0)
        if best and self._gain(best) >= _WORTH:
            self._pause = _SHORTEST_PAUSE
            return best
        return self._give_up()

    def note(self, done: Round) -> None:
        """Learn from a round."""
        if done.drafted == 0:
            self._alone.append(done.whole)
        else:
            self._rounds_drafted += 1
            wrong = done.judged - done.accepted
            self._right.extend([True] * done.accepted + [False] * wrong)
            self._fresh += done.judged
            extra = done.checking - median(self._alone)
            self._per_row.append(max(0.0, extra / done.drafted))
            self._per_draft.append(done.guessing / done.drafted)
        self._spent += done.whole
        self._alone_would_take += (done.accepted + 1) * median(self._alone)

    @property
    def speed_up(self) -> float | None:
        """How much faster the run has been than its own rounds without a draft; None at first."""
        if self._rounds_drafted == 0:
            return None
        return self._alone_would_take / self._spent

    def _gain(self, drafted: int) -> float:
        alone = median(self._alone)
        cost = alone + drafted * (median(self._per_draft) + median(self._per_row))
        return expected_tokens(_rate(self._right), drafted) * alone / cost

    def _give_up(self) -> int:
        """Not for a while, and longer each time."""
        self._off = self._pause - 1
        self._pause = min(2 * self._pause, _LONGEST_PAUSE)
        self._fresh = 0
        while len(self._right) > _REMEMBERED:
            self._right.popleft()
        return 0


def _rate(judged: Collection[bool]) -> float:
    """The share that was right, drawn to one half while few were judged (Laplace)."""
    return (sum(judged) + 1) / (len(judged) + 2)
