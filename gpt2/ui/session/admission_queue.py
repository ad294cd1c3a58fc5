"""Whose turn it is: so many run, so many wait, first come first served, and how long it takes."""

from __future__ import annotations

import heapq
import threading
import time
from dataclasses import dataclass

from gpt2.ui.session.limits import Limits

_ENOUGH = 5  # tokens after which a run's own speed says something


_PAGES = "pages at "


def pages_at(address: str) -> str:
    """Who is counted as one visitor with all the pages that are open at an address."""
    return f"{_PAGES}{address}" if address else ""


class QueueFull(Exception):
    """No place is left. The message is for the visitor."""


@dataclass(eq=False, slots=True)
class Ticket:
    """One run in line or running: how many tokens it may write, and how many it has."""

    visitor: str
    tokens: int
    began: float | None = None
    written: int = 0

    def start(self) -> None:
        """It is its turn."""
        self.began = time.monotonic()

    @property
    def pace(self) -> float | None:
        """Seconds a token, once there is something to go by."""
        if self.began is None or self.written < _ENOUGH:
            return None
        return (time.monotonic() - self.began) / self.written


class AdmissionQueue:
    """Places are taken by `join` and given up by `leave`; the first `limits.running` may run."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._lock = threading.Lock()
        self._tickets: list[Ticket] = []
        self._pace: float | None = None  # of those who ran before

    def join(self, visitor: str = "", tokens: int = 1) -> Ticket:
        """Stand at the end of the line. Raises QueueFull.

        A visitor who cannot be told apart is the empty text, and has no limit of his own.
        """
        limits = self.limits
        ticket = Ticket(visitor, tokens)
        with self._lock:
            mine = sum(visitor != "" and other.visitor == visitor for other in self._tickets)
            self._check(visitor, mine)
            if len(self._tickets) >= limits.running + limits.waiting:
                seconds = self._seconds(self._tickets)
                when = f"in {in_words(seconds)}" if seconds else "in a while"
                raise QueueFull(
                    f"The house is full: {limits.running} texts are being written and "
                    f"{limits.waiting} visitors wait. Nothing is lost; try again {when}."
                )
            self._tickets.append(ticket)
        return ticket

    def _check(self, visitor: str, mine: int) -> None:
        if visitor.startswith(_PAGES):
            if mine >= self.limits.per_address:
                raise QueueFull(
                    f"Pages at your address have {mine} texts in line or being written; the other "
                    "places are kept for visitors from elsewhere. Nothing is lost; try again when "
                    "one of yours has ended."
                )
        elif mine >= self.limits.per_visitor:
            raise QueueFull(
                f"You have {mine} texts in line or being written, as many as one visitor may. "
                "Wait for one to end, or stop one."
            )

    def ahead(self, ticket: Ticket) -> int:
        """How many must leave before this place may run; 0 means now."""
        with self._lock:
            return max(0, self._tickets.index(ticket) - self.limits.running + 1)

    def seconds(self, ticket: Ticket) -> float | None:
        """About how long until its turn; None when no run has shown its speed yet."""
        with self._lock:
            return self._seconds(self._tickets[: self._tickets.index(ticket)])

    def leave(self, ticket: Ticket) -> int:
        """Let the next one in; how many are left."""
        with self._lock:
            self._tickets.remove(ticket)
            self._pace = ticket.pace or self._pace
            return len(self._tickets)

    def _seconds(self, before: list[Ticket]) -> float | None:
        """As if every run before wrote all it may, at the speed of those who run now."""
        paces = [pace for ticket in before if (pace := ticket.pace)] or [self._pace or 0]
        pace = sum(paces) / len(paces)
        if not pace:
            return None
        left = [pace * (ticket.tokens - ticket.written) for ticket in before]
        running, waiting = left[: self.limits.running], left[self.limits.running :]
        heapq.heapify(running)
        for seconds in waiting:  # each takes over from whoever ends first
            heapq.heapreplace(running, running[0] + seconds)
        return max(0.0, running[0]) if running else 0.0


def in_words(seconds: float) -> str:
    """about 20 seconds, about 3 minutes"""
    if seconds < 90:
        return f"about {max(5, 5 * round(seconds / 5))} seconds"
    return f"about {round(seconds / 60)} minutes"
