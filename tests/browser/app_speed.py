"""python -m tests.browser.app_speed FOLDER: a text in the running app against the bare engine.

One visitor, the attention of all heads on. Chromium says once what it sends when somebody presses
Generate, then leaves: it would compute on the CPUs that are measured. The same is sent again in
turns with `Engine.generate_ids` in another process; medians.
"""

from __future__ import annotations

import json
import re
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
from playwright.sync_api import Request

from gpt2 import SIZES
from gpt2.ui.session.wire import Kind, whole_frames
from tests.browser.server import serve
from tests.browser.visit import Visit
from tests.chromium import chromium

PROMPT, TOKENS, ROUNDS = "Once upon a time there was a little fox", 256, 5

BARE = """
import sys, time
from gpt2 import load
from gpt2.runtime.malloc import limit_arenas
from gpt2.runtime.threads import set_threads
limit_arenas()
set_threads()
engine = load(sys.argv[1], "auto")
ids = engine.encode(sys.argv[2])
print("ready", flush=True)
for _ in sys.stdin:
    engine.generate_ids(ids, 1)
    began = time.perf_counter()
    engine.generate_ids(ids, 1)
    first = time.perf_counter() - began
    engine.generate_ids(ids, int(sys.argv[3]))
    print((int(sys.argv[3]) - 1) / (time.perf_counter() - began - 2 * first), flush=True)
"""


def wish(url: str, name: str) -> dict[str, Any]:
    """What the page sends for one text of that model."""
    sent: list[dict[str, Any]] = []

    def keep(request: Request) -> None:
        if "queue/join" in request.url and request.post_data:
            sent.append(json.loads(request.post_data))

    with chromium() as browser:
        visit = Visit(browser, url)
        visit.page.on("request", keep)
        visit.start(size=name, prompt=PROMPT, new_tokens=TOKENS)
        visit.close()
    return next(body for body in sent if PROMPT in body["data"] and TOKENS in body["data"])


def label(folder: str) -> str:
    """How the page calls the model in this folder."""
    name = Path(folder).resolve().name
    return f"own {name}" if name in SIZES else name


def in_the_app(url: str, body: dict[str, Any]) -> float:
    """Tokens a second after the first answer that brought some, until the last."""
    session = secrets.token_hex(8)
    with httpx.Client(base_url=url, timeout=120, trust_env=False) as client:
        client.post("gradio_api/queue/join", json=body | {"session_hash": session})
        run = ""
        where = {"session_hash": session}
        with client.stream("GET", "gradio_api/queue/data", params=where) as answer:
            for line in answer.iter_lines():
                found = re.search(r'"run\\*": \\*"([0-9a-f]{32})', line)
                run = found[1] if found else run
                if '"process_completed"' in line:
                    break
        times, counts, rest = list[float](), list[int](), b""
        wish = {"view": "head", "heads": "0", "hold": "1"}  # as the page asks
        with client.stream("GET", f"runs/{run}", params=wish) as answer:
            for piece in answer.iter_raw():
                frames, rest = whole_frames(rest + piece)
                if made := sum(frame.count for frame in frames if frame.kind == Kind.TOKENS):
                    times.append(time.perf_counter())
                    counts.append(made)
    return sum(counts[1:]) / (times[-1] - times[0])


def bare(folder: str) -> Iterator[float]:
    """Its own process, loaded once."""
    command = [sys.executable, "-c", BARE, folder, PROMPT, str(TOKENS)]
    with subprocess.Popen(command, stdin=-1, stdout=-1, text=True) as process:
        assert process.stdin and process.stdout
        process.stdout.readline()
        while True:
            process.stdin.write("\n")
            process.stdin.flush()
            yield float(process.stdout.readline())


def main() -> None:
    folder = sys.argv[1]
    alone = bare(folder)
    with tempfile.TemporaryDirectory() as name:
        quick = {"GPT2_MODEL": folder, "GPT2_PRECISION": "auto", "OMP_NUM_THREADS": "2"}
        with serve(Path(name), **quick) as app:
            body = wish(app.url, label(folder))
            rounds = [(in_the_app(app.url, body), next(alone)) for _ in range(ROUNDS + 1)][1:]
    app_speed, bare_speed = (statistics.median(speeds) for speeds in zip(*rounds, strict=True))
    print(
        f"in the app {app_speed:.1f} tokens/s, bare {bare_speed:.1f}: {app_speed / bare_speed:.2f}x"
    )


if __name__ == "__main__":
    main()
