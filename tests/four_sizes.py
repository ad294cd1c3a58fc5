"""python -m tests.four_sizes FOLDER [--gigabytes 16] [--precision float32]: all sizes, one limit.

FOLDER holds small, medium, large and xl in the hub's layout; random weights will do. Runs the page
in a control group of that much memory (as root), asks for all four at once, two texts each, then
one after the other, and prints what every visitor was told and the most memory that was used.
Fails when the kernel had to kill, or anybody got neither a text nor a sentence with the numbers.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
from gradio_client import Client
from gradio_client.exceptions import AppError

from gpt2.config import SIZES
from tests.browser.server import serve

NAMES = ("small", "medium", "large", "xl")
MOUNT = Path("/sys/fs/cgroup")
JOIN = """
import os, pathlib, runpy
pathlib.Path({group!r}, "cgroup.procs").write_text(str(os.getpid()))
runpy.run_module("tests.browser.random_sizes", run_name="__main__")
"""


@contextmanager
def limited(size: int) -> Iterator[Path]:
    """A new control group, of version 1 or 2."""
    old = (MOUNT / "memory").is_dir()
    group = MOUNT / ("memory/gpt2-four-sizes" if old else "gpt2-four-sizes")
    group.mkdir()
    (group / ("memory.limit_in_bytes" if old else "memory.max")).write_text(str(size))
    try:
        yield group
    finally:
        group.rmdir()


def most_used(group: Path) -> int:
    """Bytes, the kernel's cache of files included."""
    names = ("memory.max_usage_in_bytes", "memory.peak")
    return int(next((group / n).read_text() for n in names if (group / n).exists()))


def killed(group: Path) -> int:
    """Processes the kernel has ended for want of memory."""
    names = ("memory.oom_control", "memory.events")
    text = next((group / n).read_text() for n in names if (group / n).exists())
    return int(text.split("oom_kill ")[1].split()[0])


def cached(checkpoints: Path, home: Path, sizes: list[str]) -> dict[str, tuple[str, None]]:
    """Put the checkpoints where the hub's client would keep them; what they are pinned to."""
    pins = {}
    for name in sizes:
        repo, revision = str(SIZES[name].repo), "0" * 40
        folder = home / "hub/hub" / f"models--{repo.replace('/', '--')}" / "snapshots" / revision
        folder.mkdir(parents=True)
        for file in ("config.json", "model.safetensors"):
            (folder / file).symlink_to(checkpoints / name / file)
        pins[name] = (revision, None)
    return pins


def ask(url: str, size: str, seed: int) -> tuple[bool, str]:
    """Whether it ended as it should, and what the visitor has got."""
    try:
        client = Client(url, verbose=False, analytics_enabled=False)
        job = client.submit("Once upon a time", size, 0.8, 20, 0, 1.0, seed, api_name="/generate")
        text = job.result(600)
        client.close()
        return bool(text), f"{len(text)} characters"
    except AppError as error:
        return " GB" in str(error), str(error)
    except (CancelledError, OSError, httpx.HTTPError) as error:  # the page is gone
        return False, repr(error)


def main() -> None:
    """Exit with 1 when anything was not as it should be."""
    command = argparse.ArgumentParser(prog="python -m tests.four_sizes", description=__doc__)
    command.add_argument("checkpoints", type=Path)
    command.add_argument("--sizes", nargs="+", choices=NAMES, default=NAMES)
    command.add_argument("--gigabytes", type=float, default=16)
    command.add_argument("--precision", default="float32")
    options = command.parse_args()
    size = int(options.gigabytes * 1e9)
    with tempfile.TemporaryDirectory() as name, limited(size) as group:
        settings = {
            "GPT2_TEST_PINS": json.dumps(cached(options.checkpoints, Path(name), options.sizes)),
            "GPT2_PRECISION": options.precision,
            "GPT2_PER_VISITOR": "100",
            "HF_HUB_OFFLINE": "1",
        }
        with serve(Path(name), ("-c", JOIN.format(group=str(group))), **settings) as app:
            wishes = [(size, seed) for seed in (1, 2) for size in options.sizes]
            with ThreadPoolExecutor(len(wishes)) as pool:
                answers = list(pool.map(lambda wish: ask(app.url, *wish), wishes))
            answers += [ask(app.url, *wish) for wish in wishes]
            last = ask(app.url, "tiny", 1)
            alive = app.process is not None and app.process.poll() is None
            used, ended = most_used(group), killed(group)
            said = app.log.read_text()[-2000:]
    for (size_, seed), (fine, told) in zip(wishes * 2, answers, strict=True):
        print(f"{'' if fine else 'WRONG: '}{size_} {seed}: {told}")
    print(f"Tiny afterwards: {last[1]}")
    print(
        f"{options.precision}, limit {size / 1e9:.1f} GB: at most {used / 1e9:.2f} GB used, "
        f"files the kernel keeps in reserve included; {ended} killed"
    )
    if not alive:
        print(f"The page has ended:\n{said}")
    sys.exit(not (alive and not ended and last[0] and all(fine for fine, _ in answers)))


if __name__ == "__main__":
    main()
