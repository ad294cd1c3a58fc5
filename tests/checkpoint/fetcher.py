"""Runs `fetch` in a process of its own, whose HF_* variables the client reads at import.

One JSON object a line in (see `Fetcher` in conftest.py), one out.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import threading
import time
from pathlib import Path
from typing import Any

from gpt2.checkpoint import Progress, Source, download, fetch, is_cached

if os.environ.get("TEST_NO_LINKS"):

    def refuse(*_: object, **__: object) -> None:
        raise OSError("this disk has no links")

    os.symlink = refuse
download._SILENCE = float(os.environ.get("TEST_SILENCE", download._SILENCE))
download._WAITS = (0.1,) * len(download._WAITS)  # the tests need not wait for a real line to mend


def one_caller(source: Source, quit_at: int | None) -> dict[str, Any]:
    seen: list[Progress] = []

    def cancelled() -> bool:
        return quit_at is not None and bool(seen) and seen[-1].done >= quit_at

    start = time.monotonic()
    reply: dict[str, Any] = {"folder": None, "error": None, "cached_before": is_cached(source)}
    try:
        reply["folder"] = str(fetch(source, seen.append, cancelled))
    except Exception as error:
        reply |= {"error": str(error), "kind": type(error).__name__}
    reply["seconds"] = time.monotonic() - start
    reply["notes"] = [note for note in dict.fromkeys(p.note for p in seen) if note]
    reply["attempts"] = [p.attempt for p in seen]
    reply["progress"] = [(p.done, p.total, p.bytes_per_second, p.seconds_left) for p in seen]
    return reply


def answer(order: dict[str, Any]) -> list[dict[str, Any]]:
    name, folder, repo, revision, sha256 = order["source"]
    source = Source(name, Path(folder) if folder else None, repo, revision, sha256)
    if order["file_limit"]:
        resource.setrlimit(resource.RLIMIT_FSIZE, (order["file_limit"], resource.RLIM_INFINITY))
    replies: list[dict[str, Any]] = []
    threads = [
        threading.Thread(target=lambda at=at: replies.append(one_caller(source, at)))
        for at in order["quit_at"]
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if order["file_limit"]:
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
    return replies


for line in sys.stdin:
    print(json.dumps(answer(json.loads(line))), flush=True)
