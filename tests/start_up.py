"""python -m tests.start_up: seconds from `python app.py` to the first byte, page and token."""

from __future__ import annotations

import os
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from gradio_client import Client

ROOT = Path(__file__).parent.parent
ROUNDS = 5


def main() -> None:
    """Start the page `ROUNDS` times; print the medians."""
    times = [start() for _ in range(ROUNDS)]
    for name, column in zip(
        ("first byte (warm-up page)", "the page itself", "first token of Tiny"),
        zip(*times, strict=True),
        strict=True,
    ):
        print(f"{name}: {statistics.median(column):.2f} s ({min(column):.2f} to {max(column):.2f})")


def start() -> tuple[float, float, float]:
    """One cold process: seconds to the first byte, the page, and the first streamed text."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    began = time.perf_counter()
    environment = {**os.environ, "GRADIO_SERVER_PORT": str(port)}
    app = subprocess.Popen(
        [sys.executable, "app.py"], cwd=ROOT, env=environment, stdout=subprocess.DEVNULL
    )
    try:
        address = f"http://127.0.0.1:{port}"
        wait_for(address)
        first_byte = time.perf_counter() - began
        wait_for(f"{address}/config")  # the warm-up page has none
        page = time.perf_counter() - began
        job = Client(address, verbose=False).submit("Once upon a time", api_name="/generate")
        next(iter(job))
        return first_byte, page, time.perf_counter() - began
    finally:
        app.terminate()
        app.wait()


def wait_for(address: str) -> None:
    """Return once the page answers."""
    while True:
        try:
            urllib.request.urlopen(address, timeout=5).read(1)
            return
        except OSError:
            time.sleep(0.02)


if __name__ == "__main__":
    main()
