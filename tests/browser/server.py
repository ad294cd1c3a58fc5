"""`python app.py` in a process of its own."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
_SECONDS_TO_START = 120
# What would change the page or where it looks; a test says so itself.
_OURS = ("GRADIO_", "HF_", "GPT2_", "SPACE_")


@dataclass(frozen=True)
class App:
    """A page being served, and what its process has said; no process where another started it."""

    url: str
    log: Path
    process: subprocess.Popen[bytes] | None


@contextmanager
def serve(folder: Path, command: tuple[str, ...] = ("app.py",), **variables: str) -> Iterator[App]:
    """Run the app with an empty hub cache under `folder` until the block ends."""
    with start(folder, command, **variables) as app:
        _wait_for(app)
        yield app


@contextmanager
def start(folder: Path, command: tuple[str, ...] = ("app.py",), **variables: str) -> Iterator[App]:
    """The same without waiting until the page is there."""
    port = int(variables.get("GRADIO_SERVER_PORT", free_port()))
    log = folder / "app.log"
    with log.open("w") as file:
        process = subprocess.Popen(
            [sys.executable, *command],
            cwd=ROOT,
            env=_environment(folder, port, variables),
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    try:
        yield App(f"http://127.0.0.1:{port}/", log, process)
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _environment(folder: Path, port: int, variables: Mapping[str, str]) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
    return {
        **kept,
        "HF_HOME": str(folder / "hub"),
        "GRADIO_SERVER_PORT": str(port),
        "PYTHONUNBUFFERED": "1",
        "GPT2_DEFAULT_SIZE": "tiny",  # the tests know its texts
        "GPT2_PRECISION": "float32",  # what the page says must not depend on the processor
        # Runs, a browser and the tests share few cores; threads that wait for each other would
        # each wait for a core first.
        "OMP_NUM_THREADS": "1",
        **variables,
    }


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for(app: App) -> None:
    # The warm-up page answers at once, but only where the page will be.
    ends = time.monotonic() + _SECONDS_TO_START
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    while time.monotonic() < ends and app.process.poll() is None:
        try:
            with direct.open(app.url + "config", timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise AssertionError(f"app.py does not serve {app.url}:\n{app.log.read_text()}")
