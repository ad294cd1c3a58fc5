"""Every fault of a line or a hub ends in the right file, or in a message and nothing half-made."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gpt2.checkpoint import Source
from tests.checkpoint.conftest import TINY, Fetcher
from tests.hub_standin import HubStandin, write_gpt2_folder

MAIN = {"revision": "main", "sha256": None}


def check_right(reply: dict[str, Any], source: Source, fetcher: Fetcher) -> Path:
    assert reply["error"] is None
    folder = Path(reply["folder"])
    data = (folder / "model.safetensors").read_bytes()
    assert hashlib.sha256(data).hexdigest() == source.sha256
    assert (folder / "config.json").is_file()
    assert fetcher.partials() == []
    return folder


def check_refused(reply: dict[str, Any], fetcher: Fetcher, *words: str) -> None:
    assert reply["folder"] is None and reply["kind"] == "CheckpointError"
    for word in words:
        assert word in reply["error"]
    assert fetcher.partials() == []


def check_in_vain(reply: dict[str, Any], fetcher: Fetcher, *words: str) -> None:
    check_refused(reply, fetcher, *words, "Try again", "Tiny works", "No partial file")


def test_downloads_once_then_asks_nobody(hub: HubStandin, fetcher: Fetcher, big: Source) -> None:
    reply = fetcher.fetch(big)
    folder = check_right(reply, big, fetcher)
    assert not reply["cached_before"] and folder.is_relative_to(fetcher.home)
    size = (folder / "model.safetensors").stat().st_size
    assert reply["progress"][-1][:2] == [size, size]
    assert len(hub.bodies(big.name)) == 1
    hub.heal()
    again = fetcher.fetch(big)
    assert again["cached_before"] and again["folder"] == reply["folder"]
    assert hub.requests == []


def test_progress_tells_speed_and_time_left(hub: HubStandin, fetcher: Fetcher, big: Source) -> None:
    hub.fail("slow", at=40_000_000)
    progress = fetcher.fetch(big)["progress"]
    done, total, speed, left = next(p for p in progress if 0 < p[0] < p[1])
    assert 1e6 < speed < 60e6
    assert left == pytest.approx((total - done) / speed)
    assert progress[0][0] == 0 and progress[0][3] is None


@pytest.mark.parametrize("at", [1, 9_000_001, 25_000_003])
def test_cut(hub: HubStandin, fetcher: Fetcher, big: Source, at: int) -> None:
    hub.fail("cut", at=at)
    check_right(fetcher.fetch(big), big, fetcher)
    resumed = hub.bodies(big.name)[1].range
    assert resumed == ("bytes=20971520-" if at > 20_971_520 else None)


@pytest.mark.parametrize("at", [0, 25_000_003])
def test_reset(hub: HubStandin, fetcher: Fetcher, big: Source, at: int) -> None:
    hub.fail("reset", at=at, times=2)
    check_right(fetcher.fetch(big), big, fetcher)


def test_stall(hub: HubStandin, fetcher: Fetcher, big: Source) -> None:
    hub.fail("stall", at=11_111_111)
    check_right(fetcher.fetch(big), big, fetcher)


def test_short_body(hub: HubStandin, fetcher: Fetcher, small: Source) -> None:
    hub.fail("short", at=1001)
    check_right(fetcher.fetch(small), small, fetcher)


def test_short_body_every_time(hub: HubStandin, fetcher: Fetcher, small: Source) -> None:
    hub.fail("short", at=1001, times=99)
    check_in_vain(fetcher.fetch(small), fetcher, "wrong number of bytes", "Tried 5 times")


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_503(hub: HubStandin, fetcher: Fetcher, small: Source, method: str) -> None:
    hub.fail("status", method=method, status=503, times=2)
    reply = fetcher.fetch(small)
    check_right(reply, small, fetcher)
    assert {1, 2, 3} >= set(reply["attempts"]) >= {2, 3}


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_503_every_time(hub: HubStandin, fetcher: Fetcher, small: Source, method: str) -> None:
    hub.fail("status", method=method, status=503, times=99)
    check_in_vain(fetcher.fetch(small), fetcher, "error 503", "Tried 5 times")


def test_flipped_bit_is_fetched_once_more(hub: HubStandin, fetcher: Fetcher, small: Source) -> None:
    hub.fail("flip", at=7_001)
    check_right(fetcher.fetch(small), small, fetcher)
    assert len(hub.bodies(small.name)) == 2


@pytest.mark.parametrize("pinned", [True, False])
def test_flipped_bit_twice(hub: HubStandin, fetcher: Fetcher, small: Source, pinned: bool) -> None:
    hub.fail("flip", at=7_001, times=2)
    source = small if pinned else dataclasses.replace(small, sha256=None)
    check_refused(
        fetcher.fetch(source), fetcher, "model.safetensors", "damaged twice", "Tiny works"
    )
    assert len(hub.bodies(small.name)) == 2
    check_right(fetcher.fetch(source), small, fetcher)


@pytest.mark.parametrize("file", ["model.safetensors", "config.json"])
def test_file_damaged_in_the_cache(
    hub: HubStandin, fetcher: Fetcher, small: Source, file: str
) -> None:
    folder = check_right(fetcher.fetch(small), small, fetcher)
    right = (folder / file).read_bytes()
    (folder / file).resolve().write_bytes(right[:-2] + b"!!")
    check_right(fetcher.fetch(small), small, fetcher)
    assert (folder / file).read_bytes() == right


def test_file_damaged_in_the_cache_while_the_hub_is_away(
    hub: HubStandin, fetcher: Fetcher, small: Source
) -> None:
    folder = check_right(fetcher.fetch(small), small, fetcher)
    (folder / "model.safetensors").resolve().write_bytes(b"nothing of use")
    hub.fail("status", method="HEAD", times=99)
    check_in_vain(fetcher.fetch(small), fetcher, "was damaged and is removed", "error 503")


def test_a_verified_file_is_not_read_again(
    hub: HubStandin, fetcher: Fetcher, small: Source
) -> None:
    folder = check_right(fetcher.fetch(small), small, fetcher)
    weights = (folder / "model.safetensors").resolve()
    before = weights.stat()
    weights.write_bytes(b"?" * before.st_size)
    os.utime(weights, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert fetcher.fetch(small)["error"] is None  # proof that only the stamp was looked at
    os.utime(weights)
    check_right(fetcher.fetch(small), small, fetcher)


def test_other_weights_than_the_pinned_ones(
    hub: HubStandin, fetcher: Fetcher, small: Source
) -> None:
    pinned = dataclasses.replace(small, sha256="0" * 64)
    check_refused(fetcher.fetch(pinned), fetcher, "other weights", "000000000000", "HF_ENDPOINT")
    assert hub.bodies(small.name) == []


@pytest.mark.parametrize("file", ["model.safetensors", "config.json"])
def test_missing_file(hub: HubStandin, fetcher: Fetcher, small: Source, file: str) -> None:
    for method in ("HEAD", "GET"):
        hub.fail("hide", file, method=method, times=99)
    check_refused(fetcher.fetch(small), fetcher, f"has no {file}", "safetensors")


def test_unknown_repository_and_revision(hub: HubStandin, fetcher: Fetcher, small: Source) -> None:
    nowhere = dataclasses.replace(small, repo="owner/nothing")
    check_refused(fetcher.fetch(nowhere), fetcher, "no repository owner/nothing", "HF_TOKEN")
    never = dataclasses.replace(small, revision="v9")
    check_refused(fetcher.fetch(never), fetcher, "no revision v9")


def test_something_else_answers(hub: HubStandin, fetcher: Fetcher, small: Source) -> None:
    hub.fail("blank", method="HEAD")
    check_refused(fetcher.fetch(small), fetcher, hub.endpoint, "not a hub", "HF_ENDPOINT")


def test_no_space(hub: HubStandin, fetcher: Fetcher, small: Source) -> None:
    hub.fail("huge", method="HEAD")
    check_refused(fetcher.fetch(small), fetcher, "needs 10000000.00 GB", "free", "HF_HOME")
    assert hub.bodies(small.name) == []


def test_space_runs_out_on_the_way(hub: HubStandin, fetcher: Fetcher, big: Source) -> None:
    reply = fetcher.fetch(big, file_limit=15_000_000)
    check_refused(reply, fetcher, "disk became full", "HF_HOME")
    check_right(fetcher.fetch(big), big, fetcher)


def test_a_cache_that_cannot_be_written(
    new_fetcher: Callable[..., Fetcher], small: Source, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("no folder")
    fetcher = new_fetcher(HF_HOME=str(tmp_path / "file" / "home"))
    check_refused(fetcher.fetch(small), fetcher, "cannot be kept in", "Not a directory", "HF_HOME")


def test_callers_share_one_download(hub: HubStandin, fetcher: Fetcher, big: Source) -> None:
    hub.fail("slow", at=40_000_000)
    fetcher.start(big, quit_at=(None, None, None))
    for reply in fetcher.replies():
        check_right(reply, big, fetcher)
        assert any(0 < p[0] < p[1] for p in reply["progress"])
    assert len(hub.bodies(big.name)) == 1


def test_one_cancels_and_the_other_goes_on(hub: HubStandin, fetcher: Fetcher, big: Source) -> None:
    hub.fail("slow", at=30_000_000)
    fetcher.start(big, quit_at=(None, 1))
    quitter, stayer = sorted(fetcher.replies(), key=lambda reply: reply["folder"] or "")
    assert quitter["kind"] == "Cancelled"
    check_right(stayer, big, fetcher)
    assert len(hub.bodies(big.name)) == 1


def test_all_cancel(hub: HubStandin, fetcher: Fetcher, big: Source) -> None:
    hub.fail("slow", at=30_000_000)
    fetcher.start(big, quit_at=(1, 0))
    assert [reply["kind"] for reply in fetcher.replies()] == ["Cancelled"] * 2
    end = time.monotonic() + 5
    while fetcher.partials() and time.monotonic() < end:
        time.sleep(0.05)  # the thread sees it at its next block
    assert fetcher.partials() == []
    check_right(fetcher.fetch(big), big, fetcher)


def test_interrupted_at_the_keyboard(
    hub: HubStandin, new_fetcher: Callable[..., Fetcher], big: Source
) -> None:
    hub.fail("slow", at=9_000_000)
    # What was started in the background of a shell would not hear the keyboard.
    hear = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    fetched = f"from gpt2.checkpoint import *; fetch(find_source('{big.name}@{big.revision}'))"
    program = f"{hear}; {fetched}"
    fetcher = new_fetcher(command=("-c", program))
    fetcher.wait_for_bytes()
    fetcher.process.send_signal(signal.SIGINT)
    assert fetcher.process.wait(30) != 0
    assert fetcher.partials() == []


def test_cancelled_while_waiting_for_another_try(
    hub: HubStandin, fetcher: Fetcher, small: Source
) -> None:
    hub.fail("status", times=99)
    reply = fetcher.fetch(small, quit_at=(0,))
    assert reply["kind"] == "Cancelled" and reply["seconds"] < 1
    hub.heal()
    check_right(fetcher.fetch(small), small, fetcher)


def test_two_processes_share_one_download(
    hub: HubStandin, new_fetcher: Callable[..., Fetcher], big: Source
) -> None:
    hub.fail("slow", at=40_000_000)
    both = new_fetcher(), new_fetcher()
    for fetcher in both:
        fetcher.start(big)
    for fetcher in both:
        check_right(fetcher.replies()[0], big, fetcher)
    assert len(hub.bodies(big.name)) == 1


def test_what_a_killed_download_leaves_is_removed(
    hub: HubStandin, new_fetcher: Callable[..., Fetcher], big: Source
) -> None:
    hub.fail("stall", at=15_000_000)
    killed = new_fetcher(HF_HUB_DOWNLOAD_TIMEOUT="30")
    killed.start(big)
    killed.wait_for_bytes()
    killed.close()
    assert len(killed.partials()) == 1
    fetcher = new_fetcher()
    check_right(fetcher.fetch(big), big, fetcher)


def test_offline_before_and_after(
    hub: HubStandin, new_fetcher: Callable[..., Fetcher], small: Source
) -> None:
    branch = dataclasses.replace(small, **MAIN)
    offline, online = new_fetcher(HF_HUB_OFFLINE="1"), new_fetcher()
    for source in (small, branch):
        check_refused(offline.fetch(source), offline, "HF_HUB_OFFLINE", "not in this computer")
    assert hub.requests == []
    for source in (small, branch):
        check_right(online.fetch(source), small, online)
    hub.heal()
    for source in (small, branch):
        check_right(offline.fetch(source), small, offline)
    assert hub.requests == []


def test_hub_away(tmp_path: Path, small: Source) -> None:
    """Nobody listens: the visitor is told soon, and what is in the cache still works."""
    branch = dataclasses.replace(small, **MAIN)
    with HubStandin({small.name: tmp_path / "small"}) as hub:
        fetcher = Fetcher(tmp_path / "home", hub.endpoint)
        check_right(fetcher.fetch(branch), small, fetcher)
    try:
        check_right(fetcher.fetch(branch), small, fetcher)
        check_right(fetcher.fetch(small), small, fetcher)
        reply = fetcher.fetch(dataclasses.replace(small, repo="owner/other"))
        check_in_vain(reply, fetcher, "cannot be reached", hub.endpoint)
        assert reply["seconds"] < 8
    finally:
        fetcher.close()


def test_a_branch_that_moved_is_fetched_anew(
    hub: HubStandin, fetcher: Fetcher, small: Source, tmp_path: Path
) -> None:
    branch = dataclasses.replace(small, **MAIN)
    old = check_right(fetcher.fetch(branch), small, fetcher)
    longer = dataclasses.replace(TINY, max_seq_len=18)
    sha256 = write_gpt2_folder(tmp_path / "small", longer, seed=1)
    moved = dataclasses.replace(branch, sha256=sha256)
    new = check_right(fetcher.fetch(branch), moved, fetcher)
    assert new != old


def test_the_token_goes_to_the_hub_only(
    hub: HubStandin, new_fetcher: Callable[..., Fetcher], fetcher: Fetcher, small: Source
) -> None:
    hub.tokens[small.name] = "hf_secret"
    check_refused(fetcher.fetch(small), fetcher, "no repository", "HF_TOKEN")
    hub.heal()
    holder = new_fetcher(HF_TOKEN="hf_secret")
    check_right(holder.fetch(small), small, holder)
    assert all(r.authorization is None for r in hub.requests if r.cdn)
    assert all(r.authorization == "Bearer hf_secret" for r in hub.requests if not r.cdn)
