"""What a hub answers is checked before its client acts on it, and a wait is never endless.

The client names files by headers of the answer without looking at them: a path in one of them would
be written to. It also sleeps as long as an answer asks, an hour too. Both are caught here, in hooks
of the client's own transport, which do nothing outside a `watched` block.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from email.utils import parsedate_to_datetime
from typing import Any

from gpt2.checkpoint.errors import CheckpointError

# Names of blobs: 64 digits are the sha256 of a large file, 40 the git blob id of a small one.
DIGEST = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_ETAG = re.compile(r'(?:W/)?"?((?:[0-9a-f]{40}|[0-9a-f]{64}))"?')
_COMMIT = re.compile(r"[0-9a-f]{40}")
_LATER = {408, 425, 429}
_MOST_SECONDS = 10**6  # a longer wait is not worth telling exactly

# Bytes after which the client tells of progress and can be stopped. Its own are 10 MiB, which take
# a slow line minutes.
_BLOCK = 1 << 18


class Unavailable(Exception):
    """The hub answers, but not now: its status, and the seconds it asks to wait, if it says so."""

    def __init__(self, status: int, seconds: float | None) -> None:
        super().__init__(f"error {status}")
        self.status = status
        self.seconds = seconds


class Watch:
    """What is known of one request: `digest` is the name its file will have in the cache.

    `waits_for_lock` is true from the answer to the client's question until the first bytes are
    asked for: only another process' lock lies between.
    """

    def __init__(self, check: Callable[[], None], pin: str | None = None) -> None:
        self.check = check
        self.pin = pin
        self.digest: str | None = None
        self.waits_for_lock = False
        self._answer: Any = None

    def begin(self) -> None:
        """The first bytes are asked for."""
        self.waits_for_lock = False

    def close(self) -> None:
        """Cut the line, from whatever thread: who reads there gets an error."""
        answer, self._answer = self._answer, None
        if answer is not None:
            with suppress(Exception):  # it may end by itself at this very moment
                answer.close()

    def asked(self, request: Any) -> None:
        self.check()
        if request.method == "GET":
            self.begin()

    def answered(self, answer: Any) -> None:
        status, headers = answer.status_code, answer.headers
        if status >= 500 or status in _LATER:
            raise Unavailable(status, wait_of(headers))
        commit = headers.get("X-Repo-Commit")
        if commit is not None and not _COMMIT.fullmatch(commit):
            raise _forged("X-Repo-Commit", commit)
        if answer.request.method == "HEAD" and status < 400:
            self._named(headers, followed=300 <= status < 400)
            self.waits_for_lock = True
        elif answer.request.method == "GET":
            self._answer = answer

    def _named(self, headers: Any, followed: bool) -> None:
        name, value = "X-Linked-Etag", headers.get("X-Linked-Etag")
        if value is None:
            name, value = "ETag", headers.get("ETag")
            if value is None and followed:
                return  # of a redirect within the hub the next answer has it
        if value is None:
            return  # not a hub at all: whoever asked says so
        match = _ETAG.fullmatch(value)
        if match is None:
            raise _forged(name, value)
        self.digest = match[1]
        if self.pin is not None and self.digest != self.pin:
            raise other_weights(self.digest, self.pin)


def other_weights(digest: str, pin: str) -> CheckpointError:
    """The hub has a file of the right name that is not the one this program knows."""
    return CheckpointError(
        f"The hub offers other weights than the ones this program knows (sha256 {digest[:12]}… "
        f"instead of {pin[:12]}…). Check HF_ENDPOINT. Nothing was downloaded."
    )


def _forged(header: str, value: str) -> CheckpointError:
    return CheckpointError(
        f"The hub's answer is not to be trusted: its {header} is {value[:60]!r}, where 40 or 64 "
        "hexadecimal digits belong. Check HF_ENDPOINT. Nothing was downloaded."
    )


def wait_of(headers: Any) -> float | None:
    """The seconds that an answer asks to wait: Retry-After, as a number or a date, or RateLimit."""
    value = (headers.get("Retry-After") or "").strip()
    if value.isdecimal():
        return float(min(int(value[:9]), _MOST_SECONDS)) if len(value) < 9 else _MOST_SECONDS
    with suppress(ValueError, TypeError, OverflowError):
        seconds = parsedate_to_datetime(value).timestamp() - time.time()
        return min(max(0.0, seconds), _MOST_SECONDS)
    if match := re.search(r";\s*t=(\d{1,8})", headers.get("RateLimit") or ""):
        return float(min(int(match[1]), _MOST_SECONDS))
    return None


_watching = threading.local()
_installed = threading.Lock()
_done: list[Any] = []


@contextmanager
def watched(watch: Watch) -> Iterator[Watch]:
    """Let `watch` see what the hub's client asks in this thread."""
    _install()
    before = getattr(_watching, "watch", None)
    _watching.watch = watch
    try:
        yield watch
    finally:
        _watching.watch = before


def _install() -> None:
    """Give the client's transport our hooks, once, whoever made its sessions until now."""
    with _installed:
        if _done:
            return
        from huggingface_hub import constants, set_client_factory
        from huggingface_hub.utils import _http

        # Private, but the only way to keep a factory that somebody else has set.
        make = getattr(_http, "_GLOBAL_CLIENT_FACTORY", None) or _http.default_client_factory

        def factory() -> Any:
            client = make()
            hooks = client.event_hooks
            hooks["request"].append(_asked)
            hooks["response"].append(_answered)
            client.event_hooks = hooks
            return client

        set_client_factory(factory)
        constants.DOWNLOAD_CHUNK_SIZE = _BLOCK
        _done.append(factory)


def _asked(request: Any) -> None:
    watch: Watch | None = getattr(_watching, "watch", None)
    if watch is not None:
        watch.asked(request)


def _answered(answer: Any) -> None:
    watch: Watch | None = getattr(_watching, "watch", None)
    if watch is not None:
        watch.answered(answer)
