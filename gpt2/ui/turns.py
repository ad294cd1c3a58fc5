"""Whose turn it is: at most `limit` runs at once, first come first served."""

from __future__ import annotations

import threading


class Turns:
    """A queue whose length people can see. A place is taken by `join` and given up by `leave`."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._places: list[object] = []

    def join(self) -> object:
        """Stand at the end of the line; the result stands for the place."""
        place = object()
        with self._lock:
            self._places.append(place)
        return place

    def ahead(self, place: object) -> int:
        """How many must leave before this place may run; 0 means now."""
        with self._lock:
            return max(0, self._places.index(place) - self._limit + 1)

    def leave(self, place: object) -> None:
        with self._lock:
            self._places.remove(place)
