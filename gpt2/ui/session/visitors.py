"""What the server keeps for every open page, by Gradio's session hash; the oldest is forgotten."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

import gradio as gr

from gpt2.serving.addresses import counted_as
from gpt2.ui.session.limits import MOST_VISITORS

T = TypeVar("T")


def address_of(caller: gr.Request | None) -> str:
    """Whose runs are counted together; behind a proxy, what the proxy says."""
    client = getattr(caller, "client", None)
    return counted_as(client.host) if client else ""


class Visitors(Generic[T]):
    """`new` makes what a page gets, and `forget` is told what falls out."""

    def __init__(self, new: Callable[[], T], forget: Callable[[T], None]) -> None:
        self._new = new
        self._forget = forget
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, T] = OrderedDict()

    def of(self, request: gr.Request) -> T:
        """What is kept for this page; something new for a caller who does not say which he is."""
        name = request.session_hash
        if not name:
            return self._new()
        with self._lock:
            kept = self._kept.setdefault(name, self._new())
            self._kept.move_to_end(name)
            while len(self._kept) > MOST_VISITORS:
                self._forget(self._kept.popitem(last=False)[1])
        return kept
